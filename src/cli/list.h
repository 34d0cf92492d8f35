/* What the commands that show entities share: reading a list page by page, reading one entity, writing one.
 * Threads: one. */
#ifndef HB_CLI_LIST_H
#define HB_CLI_LIST_H

#include "base/secret.h"
#include "cli/client.h"
#include "cli/format.h"
#include "cli/table.h"

/* How a list is shown: the key of its array, and a row for each of its items. */
struct list_view {
    const char *key;
    const struct table_column *columns;
    size_t n_columns;
    void (*row)(struct table *t, const json_t *item, const void *ctx);
    const void *ctx;
    void (*footer)(struct cli *c, struct buf *out, const json_t *reply, size_t shown); /* NULL: none */
    const char *empty; /* said in place of a table without rows */
};
#define LIST_ALL_MAX 10000 /* what is shown of a list without --limit */
/* GET `path` and the pages that follow, up to --limit; with --json one page, unchanged. */
int list_show(struct cli *c, struct buf *path, const struct list_view *view);
/* GET `path`, a list that has no pages. */
int list_show_all(struct cli *c, const char *path, const struct list_view *view);

/* GET `path`; `show` writes what a person reads. */
int entity_show(struct cli *c, const char *path, void (*show)(struct cli *c, struct buf *out, const json_t *reply));
/* A write: with --json prints the reply, else "NAME <done>". */
int entity_write(struct cli *c, const struct api_request *rq, const char *done, const char *name);

/* The name of the node of that id, into `ret`; the id itself where it cannot be read. Returns `ret`. */
const char *node_name_of(struct cli *c, const char *id, char *ret, size_t size);

/* "/v1/services/" + segment + after. */
void entity_path(struct buf *out, const char *collection, const char *reference, const char *after);

/* Adds `"to": value of the option` when the option was given: as text, or as a number. `to` is a dotted path. */
void put_text_option(struct cli *c, json_t *body, const char *option, const char *to);
void put_number_option(struct cli *c, json_t *body, const char *option, const char *to);
/* Adds each --option KEY=VALUE below `to`; CLI_USAGE, said, where one is no pair. */
int put_pairs_option(struct cli *c, json_t *body, const char *option, const char *to);
/* Adds the option's time to the query as RFC 3339. */
int path_query_time(struct cli *c, struct buf *path, const char *option, const char *name);

#endif
