#define LOG_ROOM "runtime"
#include "runtime/volumes_internal.h"

#include "base/log.h"

#define DEADLINE_MS ((int64_t)6 * 3600 * 1000)

/* ---- what a job works on ---- */

struct work {
    struct volumes *volumes;
    struct job *job;
    struct container_engine *engine;
    struct volume_uses uses;
    struct snapshot snapshot;
    char *images, *owner_before; /* of a service that went; owned */
};

/* 1 there, 0 gone. */
static int find_volume(struct work *w, struct error *e)
{
    struct engine_volume *list = NULL;
    size_t n = 0;
    struct container_engine *g = w->engine;
    int r = g->ops->volumes(g, &list, &n, e), found = 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        if (str_eq(list[i].name, w->snapshot.volume)) {
            const char *owner = volume_owner(&list[i], &w->uses);
            found = 1;
            owner = owner ? owner : w->owner_before;
            str_copy(w->snapshot.service, sizeof w->snapshot.service, owner ? owner : "");
        }
    engine_volumes_free(list, n);
    return r < 0 ? r : found;
}

static int begin(struct work *w, struct error *e)
{
    const json_t *a = w->job->arguments;
    struct snapshot *s = &w->snapshot;
    str_copy(s->id, sizeof s->id, w->job->id);
    str_copy(s->volume, sizeof s->volume, json_str(a, "volume") ? json_str(a, "volume") : "");
    str_copy(s->node_id, sizeof s->node_id, json_str(a, "nodeId") ? json_str(a, "nodeId") : "");
    str_copy(s->by, sizeof s->by, json_str(a, "by") ? json_str(a, "by") : "");
    int r = runtime_engine(w->volumes->runtime, s->node_id, &w->engine, e);
    if (r == 0)
        r = volume_remembered(w->volumes, s->node_id, s->volume, &w->owner_before, &w->images, e);
    if (r >= 0)
        r = volume_uses_read(w->volumes->runtime, s->node_id, w->engine, &w->uses, e);
    return r == 0 ? find_volume(w, e) : r;
}

static void finish(struct work *w)
{
    volume_uses_done(&w->uses);
    free(w->images);
    free(w->owner_before);
}

/* An engine that is away, or a hub that stops, is worth another try; what forbids it is not. */
static int verdict(int r)
{
    bool again = r == -ERR_UNAVAILABLE || r == -ERR_UPSTREAM_TIMEOUT || r == -ERR_UPSTREAM;
    return r >= 0 ? JOB_DONE : again ? JOB_AGAIN : r;
}

static int take_snapshot(struct work *w, struct error *e)
{
    int r = snapshot_make(w->volumes, w->job, w->engine, &w->snapshot, &w->uses, w->images, e);
    if (r == 0)
        snapshot_tell(w->volumes, w->snapshot.id);
    return r;
}

/* ---- the kinds ---- */

static int remove_it(struct work *w, struct error *e)
{
    int r = volume_check_unused(&w->uses, w->snapshot.volume, e);
    w->snapshot.for_removal = true;
    if (r == 0 && *w->job->cancelled)
        return error_set(e, ERR_CONFLICT, "Cancelled.");
    if (r == 0 && json_flag(w->job->arguments, "snapshot", true))
        r = take_snapshot(w, e);
    if (r == 0)
        r = w->engine->ops->volume_remove(w->engine, w->snapshot.volume, e);
    if (r == -ERR_NOT_FOUND) /* someone was quicker */
        r = 0;
    if (r == 0)
        r = volume_forget(w->volumes, w->snapshot.node_id, w->snapshot.volume, e);
    if (r == 0) {
        log_info("Volume %s of node %s was removed.", w->snapshot.volume, w->snapshot.node_id);
        if (w->volumes->events)
            events_publish(w->volumes->events, "volume.deleted", "volume", w->snapshot.volume, "null", 4);
    }
    return r;
}

static int run_remove(void *ctx, struct job *job, struct error *e)
{
    struct work w = { .volumes = ctx, .job = job };
    int r = begin(&w, e);
    if (r == 1)
        r = remove_it(&w, e);
    finish(&w);
    return verdict(r);
}

static int run_snapshot(void *ctx, struct job *job, struct error *e)
{
    struct work w = { .volumes = ctx, .job = job };
    int r = begin(&w, e);
    if (r == 0)
        r = error_set(e, ERR_NOT_FOUND, "There is no volume %.200s on this node (any more).", w.snapshot.volume);
    for (size_t i = 0; i < w.uses.n; i++)
        w.snapshot.in_use |= w.uses.list[i].running && str_eq(w.uses.list[i].volume, w.snapshot.volume);
    if (r == 1)
        r = take_snapshot(&w, e);
    finish(&w);
    return verdict(r);
}

int volume_jobs_register(struct volumes *v, struct error *e)
{
    const struct job_kind kinds[] = {
        { .name = KIND_REMOVE_VOLUME,
          .run = run_remove,
          .ctx = v,
          .title = "Remove a volume",
          .max_attempts = 20,
          .deadline_ms = DEADLINE_MS,
          .max_parallel = 1 },
        { .name = KIND_SNAPSHOT_VOLUME,
          .run = run_snapshot,
          .ctx = v,
          .title = "Take a snapshot of a volume",
          .max_attempts = 20,
          .deadline_ms = DEADLINE_MS,
          .max_parallel = 1 },
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(kinds); i++)
        r = jobs_register(v->jobs, &kinds[i], e);
    return r;
}

int volume_job_add(struct volumes *v, const char *kind, const char *node_id, const char *volume, bool snapshot,
                   const char *who, char ret_job[37], struct error *e)
{
    _cleanup_json_ json_t *arguments =
        json_pack("{s:s, s:s, s:b, s:s}", "nodeId", node_id, "volume", volume, "snapshot", snapshot, "by", who);
    if (!arguments)
        return error_set(e, ERR_INTERNAL, "No memory.");
    return jobs_add(v->jobs, kind, arguments, 0, ret_job, e);
}

int volumes_remove_later(struct volumes *v, const char *node_id, const char *volume, bool snapshot, const char *who,
                         char ret_job[37], struct error *e)
{
    return volume_job_add(v, KIND_REMOVE_VOLUME, node_id, volume, snapshot, who, ret_job, e);
}
