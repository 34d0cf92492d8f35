#define LOG_ROOM "deployment"
#include "deployment/drift.h"

#include "base/log.h"

#include <signal.h>
#include <stdio.h>

/* A release that does not last: a container of it ended soon after it began to serve, when its deployment had completed
 * already. The release before is deployed again. */

#define LASTS_MS ((int64_t)120 * 1000)

/* When the newest deployment's release began to serve; 0: it is no update that has completed, so there is nothing to
 * go back from. A rollback is never rolled back: the two would take turns for ever. */
static int64_t served_since(struct deployments *d, const char *service_id)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    if (store_acquire(d->store, STORE_READ, &c, NULL) < 0 ||
        store_query(c, NULL, &rows,
                    "SELECT r.serving_at, e.state, e.trigger_kind FROM deployment_events e "
                    "JOIN service_releases r ON r.id = e.release_id "
                    "WHERE e.service_instance_id = $1 ORDER BY e.created_at DESC, e.id DESC LIMIT 1",
                    "t", service_id) < 0 ||
        rows_next(rows, NULL) != 1)
        return 0;
    bool counts = str_eq(rows_text(rows, 1), "completed") && !str_eq(rows_text(rows, 2), "rollback");
    return counts ? rows_int(rows, 0) : 0;
}

/* By itself: the engine started it again. One that stays ended was stopped by somebody, unless its policy is not to be
 * started again; then its status must be none that a stop leaves. An owner's restart is neither. */
static bool ended_by_itself(const struct engine_container *c, int64_t since, bool comes_again)
{
    bool asked =
        c->exit_code == 0 || c->exit_code == 128 + SIGTERM || (c->exit_code == 128 + SIGKILL && !c->oom_killed);
    bool runs = str_eq(c->state, "running") || str_eq(c->state, "restarting");
    return c->finished_ms > since && (runs ? c->restart_count > 0 : !comes_again && !asked);
}

static bool comes_again(struct deployments *d, const char *service_id)
{
    struct release release = { 0 };
    if (release_serving(d, service_id, &release, NULL) < 0)
        return true;
    const char *policy = json_str(release.specification, "container.restartPolicy");
    bool again = !policy || str_eq(policy, "unless-stopped") || str_eq(policy, "always");
    release_done(&release);
    return again;
}

/* Whether the row's container has ended since; how, in words. */
static bool has_fallen(struct deployments *d, const struct entity *row, int64_t since, bool again, char *ret_why,
                       size_t size)
{
    struct container_engine *g = NULL;
    struct engine_container c = { 0 };
    _cleanup_json_ json_t *document = entity_document(row);
    const char *container = json_str(document, "container.id");
    if (!container || str_eq(json_str(document, "status.deployment"), "stopped") ||
        runtime_engine(d->runtime, json_str(document, "nodeId"), &g, NULL) < 0 ||
        g->ops->inspect(g, container, &c, NULL) < 0)
        return false;
    bool fallen = ended_by_itself(&c, since, again);
    if (fallen)
        (void)snprintf(ret_why, size, "Its container %.12s ended by itself, %lld s after it began to serve.", c.id,
                       (long long)(c.finished_ms - since) / 1000);
    engine_container_done(&c);
    return fallen;
}

static bool any_has_fallen(struct deployments *d, const char *service_id, int64_t since, char *ret_why, size_t size)
{
    struct entity **rows = NULL;
    size_t n = 0;
    bool fallen = false, again = comes_again(d, service_id);
    if (runtime_service_instances(d->runtime, service_id, &rows, &n, NULL) < 0)
        return false;
    for (size_t i = 0; i < n && !fallen; i++)
        fallen = has_fallen(d, rows[i], since, again, ret_why, size);
    runtime_instances_free(rows, n);
    return fallen;
}

bool aftermath_look(struct deployments *d, const char *service_id)
{
    char why[200], id[ID_LEN + 1];
    _cleanup_error_ struct error e = ERROR_INIT;
    int64_t since = served_since(d, service_id);
    if (!since || clock_now_ms() > since + LASTS_MS || !any_has_fallen(d, service_id, since, why, sizeof why))
        return false;
    struct deployment_origin origin = {
        .trigger = "rollback", .initiated_by = "hbcloud", .admin = true, .reason = why
    };
    if (deployments_roll_back(d, service_id, &origin, id, &e) < 0) {
        log_warn("A release does not last, and there is no way back: %s %s", why, e.message);
        return false;
    }
    log_warn("A release does not last: %s Deployment %s rolls it back.", why, id);
    return true;
}
