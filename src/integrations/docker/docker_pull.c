#include "integrations/docker/docker_pull.h"

#include "base/json.h"
#include "base/map.h"
#include "base/str.h"
#include "integrations/docker/docker_error.h"

#include <errno.h>

#define PULL_MAGIC 0x64707563u

struct layer {
    int64_t done, total; /* bytes downloaded */
    bool complete;       /* on this host, unpacked */
};

struct docker_pull {
    uint32_t magic;
    engine_progress_fn fn;
    void *ctx;
    struct map *layers;
    struct engine_progress progress;
    char status[160];
    char failure[DOCKER_WORDS_MAX];
    bool heard;
};

struct docker_pull *docker_pull_new(engine_progress_fn fn, void *ctx)
{
    struct docker_pull *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->magic = PULL_MAGIC;
    p->fn = fn;
    p->ctx = ctx;
    p->progress.status = p->status;
    p->layers = map_new(free);
    if (!p->layers) {
        free(p);
        return NULL;
    }
    return p;
}

void docker_pull_free(struct docker_pull *p)
{
    if (!p)
        return;
    MAGIC_CHECK(p, PULL_MAGIC);
    map_free(p->layers);
    p->magic = 0;
    free(p);
}

/* Lines that have an id and are not about a layer. */
static bool about_layer(const char *status)
{
    return !str_starts(status, "Pulling from") && !str_starts(status, "Digest:") && !str_starts(status, "Status:");
}

static struct layer *layer_of(struct docker_pull *p, const char *id)
{
    struct layer *l = map_get(p->layers, id);
    if (l || map_size(p->layers) >= DOCKER_PULL_LAYERS_MAX)
        return l;
    l = calloc(1, sizeof(*l));
    if (l && map_set(p->layers, id, l) < 0) {
        free(l);
        l = NULL;
    }
    if (l)
        p->progress.layers_total++;
    return l;
}

static void layer_set(struct docker_pull *p, struct layer *l, int64_t done, int64_t total, bool complete)
{
    const int64_t most = INT64_MAX / (2 * DOCKER_PULL_LAYERS_MAX); /* so that no sum can overflow */
    total = total < 0 ? 0 : total > most ? most : total;
    done = done < 0 ? 0 : done > total ? total : done;
    p->progress.bytes_done += done - l->done;
    p->progress.bytes_total += total - l->total;
    p->progress.layers_done += (unsigned)complete - (unsigned)l->complete;
    l->done = done;
    l->total = total;
    l->complete = complete;
}

static void layer_move(struct docker_pull *p, struct layer *l, const char *status, const json_t *line)
{
    if (str_eq(status, "Downloading"))
        layer_set(p, l, json_int(line, "progressDetail.current", l->done),
                  json_int(line, "progressDetail.total", l->total), false);
    else if (str_eq(status, "Download complete") || str_eq(status, "Verifying Checksum"))
        layer_set(p, l, l->total, l->total, l->complete);
    else if (str_eq(status, "Pull complete") || str_eq(status, "Already exists"))
        layer_set(p, l, l->total, l->total, true);
}

int docker_pull_tick(void *pull)
{
    struct docker_pull *p = pull;
    MAGIC_CHECK(p, PULL_MAGIC);
    return p->fn ? p->fn(p->ctx, &p->progress) : 0;
}

int docker_pull_line(void *pull, const json_t *line)
{
    struct docker_pull *p = pull;
    MAGIC_CHECK(p, PULL_MAGIC);
    const char *status = json_str(line, "status"), *id = json_str(line, "id");
    const char *failure = json_str(line, "errorDetail.message");
    if (!failure)
        failure = json_str(line, "error");
    p->heard = true;
    if (failure) {
        docker_words(p->failure, *failure ? failure : "no reason given",
                     strlen(*failure ? failure : "no reason given"));
        return 0;
    }
    if (!status)
        return 0;
    if (id && about_layer(status)) {
        struct layer *l = layer_of(p, id);
        if (l)
            layer_move(p, l, status, line);
    }
    str_copy(p->status, sizeof(p->status), status);
    return docker_pull_tick(p);
}

int docker_pull_end(struct docker_pull *p, struct error *e)
{
    MAGIC_CHECK(p, PULL_MAGIC);
    if (*p->failure)
        return error_set(e, ERR_UPSTREAM, "The pull failed: %s", p->failure);
    if (!p->heard)
        return error_set(e, ERR_UPSTREAM, "The pull ended without a word of the container engine.");
    p->progress.bytes_done = p->progress.bytes_total;
    p->progress.layers_done = p->progress.layers_total;
    return 0;
}
