/* One deployment without a hub: a real store, runtime and journal; an engine and a gateway of the test's own that write
 * down, in one trace, what they were asked for. Time runs faster than the wall's, so that waits are short. */
#ifndef HB_TEST_DEPLOY_FIXTURE_H
#define HB_TEST_DEPLOY_FIXTURE_H

#include "deployment/internal.h"

#define OWN_CONTAINERS 32
struct own_container {
    char id[65], name[128], volume[128];
    json_t *labels;
    bool running, gone;
    int port; /* host's, given anew at each start */
};

extern struct fake_engine {
    struct container_engine base;
    struct own_container containers[OWN_CONTAINERS];
    size_t count;
    bool dies; /* the newest container ends at once */
    bool unhealthy; /* its own check fails */
    bool away; /* what it is asked for is not answered */
    bool ends_well; /* a container that has ended did so with 0 */
    bool leaves_in_pull; /* the next pull is cut off, and it is away from then on */
    int refuses_removal;
    const char *refuse_create; /* NULL, or why */
    const char *api_version, *architecture, *image_architecture; /* NULL: good ones */
    const char *volume_owner; /* of the volume "data"; NULL nobody's */
    const char *die_at; /* the hub dies when a line with this comes into the trace */
    size_t die_after; /* and after so many lines; 0: never */
} fake_engine;

extern struct fake_gateway {
    bool routes, discovers, broken, registry_lost, away;
    bool leaves_at_switch; /* it is away from the next switch on */
    char upstreams[256]; /* as they are now, "" none */
    int undrained; /* looks until an address is drained; -1 never */
    struct gateway_figures figures[PROBE_PHASES];
    int64_t hangs_ms; /* one probe is sent at the beginning of "after", and fails so much later; 0: none */
    int64_t after_ms;
    bool probing;
    enum probe_phase phase;
    bool route_exists;
} fake_gateway;

void fixture_open(void);
void fixture_close(void);
/* A service of one instance without container; its release and specification come with each deployment. */
void fixture_service(const char *name);
/* Deploys `specification` (JSON; the name and image are added) and returns the deployment's final document. */
json_t *fixture_deploy(const char *specification);
/* The same in two: makes release and record; runs the job once and returns what it did (JOB_DONE, JOB_AGAIN). */
const char *fixture_begin(const char *specification);
int fixture_run(void);
json_t *fixture_document(const char *deployment_id);
void fixture_type(const char *type); /* what later deployments' changes are: "update", "scale" */
json_t *fixture_row(unsigned ordinal); /* NULL: none */
void fixture_stranger(const char *name, int port); /* a container that is not hbcloud's */
struct deployments *fixture_deployments(void);
const char *fixture_service_id(void);

/* The trace: a line an act, deployments' short ids left out: "create web", "upstreams 127.0.0.1:20001". */
const char *trace_text(void);
void trace_clear(void);
void trace_add(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Asserts that these lines are in the trace in this order, others between; NULL ends. */
void trace_expect(const char *first, ...);
void trace_expect_none(const char *line);

#endif
