/* The CI part of Deployment Orchestration: signed deliveries of CI services, the runs and checks they tell of, rules that
 * deploy by them, gates that hold a deployment back, and the statuses that go back.
 * A CI service is a `struct ci_source` with one ops table (src/integrations): what its deliveries, its API and its words
 * mean is known only there. Deliveries are kept before they are answered and worked once, by a job.
 * Ownership: one a hub; owns the sources, borrows the rest. Thread-safe; a source's functions run on any thread. */
#ifndef HB_CI_H
#define HB_CI_H

#include "base/json.h"
#include "deployment/deployments.h"

/* ---- what a source tells: one vocabulary for all of them. Texts are borrowed from what was read. ---- */

enum ci_kind {
    CI_IGNORED, /* `reason` says why */
    CI_RUN, /* a workflow, a build, or a deployment that the source itself keeps */
    CI_JOB, /* a part of a run */
    CI_CHECK, /* a verdict on a commit */
    CI_PUSH, /* a commit came to a branch or tag */
    CI_IMAGE, /* an image is in a registry */
};

enum ci_state { CI_QUEUED, CI_WAITING, CI_RUNNING, CI_ENDED }; /* rises within one attempt */
const char *ci_state_name(enum ci_state s); /* "queued" "waiting" "in_progress" "completed" */

struct ci_fact {
    enum ci_kind kind;
    const char *reason;
    const char *repository; /* "owner/name" */
    const char *branch; /* NULL: a tag, or not known */
    const char *tag; /* of git, or of the image */
    const char *commit, *message, *author;
    const char *name; /* of the workflow, job or check; of an image without its tag */
    const char *event; /* what began the run: "push", "pull_request", "deployment" */
    const char *url;
    const char *digest; /* of an image; NULL: not said */
    char id[24], run_id[24];
    bool foreign; /* of a fork or a pull request: whatever it says, nothing is deployed by it */
    int64_t number;
    int64_t attempt; /* a later try of the same run has a larger one */
    enum ci_state state;
    const char *conclusion; /* "success", "failure", ...; NULL until it has ended */
    int64_t created_ms, started_ms, updated_ms, ended_ms; /* 0: not said */
};
/* Negative + `e` stops the reading. */
typedef int (*ci_emit)(void *ctx, const struct ci_fact *fact, struct error *e);

/* ---- a source ---- */

struct ci_request { /* a delivery as it came */
    const char *content_type;
    const char *body;
    size_t len;
    const char *(*header)(void *ctx, const char *name);
    size_t (*header_count)(void *ctx, const char *name);
    void *ctx;
};
struct ci_delivery {
    char id[65], event[64];
    char *payload; /* malloc'ed JSON text, `len` bytes */
    size_t len;
};
struct ci_status { /* what is told of a deployment */
    const char *id; /* the deployment's */
    const char *repository, *commit, *environment;
    const char *state; /* "queued" "in_progress" "success" "failure" "error" */
    const char *description;
};

struct ci_source;
struct ci_source_ops {
    const char *name; /* "github"; part of keys, never changed */
    const char *operation; /* operationId of its webhook */
    const char *trigger; /* of the deployments it causes */
    void (*free)(struct ci_source *s);
    /* Who sent it: ERR_UNAVAILABLE when nothing is configured to know that, ERR_VALIDATION or ERR_UNAUTHENTICATED for a
     * signature that is not there, of another form, or wrong; ERR_MALFORMED. Nothing of the body is believed before. */
    int (*receive)(struct ci_source *s, const struct ci_request *in, struct ci_delivery *ret, struct error *e);
    /* What it says. Every delivery emits at least one fact. ERR_MALFORMED: it is not what its event should be. */
    int (*read)(struct ci_source *s, const char *event, const json_t *payload, ci_emit emit, void *ctx,
                struct error *e);
    /* Runs since a time, newest first (so that only the newest is deployed), as far as the source's API tells; 1: told,
     * 0: not configured. May be NULL. */
    int (*missed)(struct ci_source *s, const char *repository, int64_t since_ms, ci_emit emit, void *ctx,
                  struct error *e);
    /* 1: told, 0: not configured. `remote` is the source's own name for it: "" the first time, then as it was left.
     * ERR_RATE_LIMITED, ERR_UNAVAILABLE, ERR_UPSTREAM_TIMEOUT: `e->retry_after_s` may say when; other errors are for good.
     * May be NULL. */
    int (*tell)(struct ci_source *s, const struct ci_status *status, char remote[24], struct error *e);
};
struct ci_source {
    const struct ci_source_ops *ops;
    bool connected; /* its API may be called: it has a token */
};

/* ---- the part ---- */

#define CI_SOURCES_MAX 4
struct ci;
struct ci_options {
    struct store *store;
    struct vault *vault;
    struct events *events;
    struct jobs *jobs;
    struct runtime *runtime;
    struct deployments *deployments;
    struct ci_source *sources[CI_SOURCES_MAX]; /* owned from here on, also after an error; NULL ends */
};
/* Registers its job kinds; call before jobs_start. */
int ci_open(const struct ci_options *o, struct ci **ret, struct error *e);
int ci_start(struct ci *c, struct error *e); /* after jobs_start: back-filling, and what was not told */
void ci_stop(struct ci *c); /* makes no more jobs */
void ci_close(struct ci *c); /* after jobs_stop */

extern const struct api_operation ci_operations[];
extern const size_t ci_operation_count;

/* What sources share. */
const char *ci_text(const json_t *x, const char *path); /* NULL: none, or an empty one */
int64_t ci_time(const json_t *x, const char *path); /* of an RFC 3339 text, wall ms; 0: none */
bool ci_repository_ok(const char *text); /* "owner/name" of letters, digits, dots, dashes, underscores */
/* The value of `name` in a form body, percent-decoded; malloc'ed, NUL-terminated, may hold any bytes. ERR_MALFORMED. */
int ci_form_field(const char *body, size_t len, const char *name, char **ret, size_t *ret_len, struct error *e);

#endif
