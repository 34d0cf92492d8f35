/*
 * What one evaluation carries from node to node, shared by the files that do
 * the evaluating: schema_eval.c (applicators) and schema_assert.c (assertions).
 */
#ifndef HB_SCHEMA_RUN_H
#define HB_SCHEMA_RUN_H

#include "http/schema_internal.h"

/* Resources entered so far, innermost first: what `$dynamicRef` looks through. */
struct scope {
    const struct resource *resource;
    const struct scope *up;
};

/* Which members or items of the value some keyword has evaluated. */
struct seen {
    size_t count;
    uint64_t small;
    uint64_t *big; /* for more than 64 */
};

struct frame {
    const json_t *value;
    const struct path *path;
    const struct scope *scope;
    struct seen *seen; /* NULL: nobody asks */
};

struct run {
    unsigned flags;
    struct schema_result *result; /* NULL: the quiet pass */
    unsigned depth;
    long steps;
    void *match;
    bool stopped; /* a bound was hit: the value is refused, whatever `not` says */
    struct schema_problem why;
};

/* Always false; past a bound nothing more is said, as it would follow from a check cut short. */
#define COMPLAIN(run, path, keyword, ...)                                      \
    ({                                                                         \
        if ((run)->result && !(run)->stopped)                                  \
            schema_problem_add((run)->result, (path), (keyword), __VA_ARGS__); \
        false;                                                                 \
    })

/* Refuses the value for good; always false. */
bool schema_stop(struct run *run, const struct path *path, const char *keyword, const char *reason);
/* Whether the steps are used up; stops the run then. */
bool schema_out_of_steps(struct run *run, const struct frame *f, const char *keyword);
enum pattern_outcome schema_match(struct run *run, const struct pattern *pattern, const struct path *path,
                                  const char *keyword, const char *text, size_t length);

/* Any rule that looks at the value itself only. */
bool schema_assert(struct run *run, const struct node *node, const struct rule *rule, const struct frame *f);

/* The quiet pass needs one failure, the other pass all of them. */
static inline bool enough(const struct run *run)
{
    return !run->result || run->stopped;
}

#endif
