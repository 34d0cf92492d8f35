#include "base/clock.h"
#include "base/secret.h"
#include "base/str.h"
#include "integrations/docker/docker.h"
#include "integrations/docker/docker_error.h"
#include "integrations/docker/docker_ops.h"
#include "integrations/docker/docker_tar.h"

#include <errno.h>
#include <stdio.h>

#define ARCHIVE_MS (2 * 3600 * 1000) /* a whole volume */
#define ARCHIVE_IDLE_MS 120000
#define TAR_ROOM 8192 /* bytes of a tar around its file: headers, padding, the end, growth of the buffer */

/* Absolute, no "..", no empty part, nothing that is no text. */
static bool path_valid(const char *path)
{
    if (!path || *path != '/' || !path[1] || strlen(path) > DOCKER_TAR_NAME_MAX)
        return false;
    for (const char *part = path + 1;; part++) {
        size_t n = strcspn(part, "/");
        if (!n || (n <= 2 && strspn(part, ".") == n))
            return false;
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)part[i] < 0x20 || part[i] == 0x7F)
                return false;
        part += n;
        if (!*part)
            return true;
    }
}

static int check_path(const char *path, struct error *e)
{
    return path_valid(path) ? 0
                            : error_set(e, ERR_VALIDATION,
                                        "\"%.100s\" is no absolute path of a file in a container (at most %d bytes, "
                                        "without \"..\").",
                                        path ? path : "", DOCKER_TAR_NAME_MAX);
}

/* "/containers/<id>/archive?path=<folder>…"; `len` bytes of `path` name the folder. */
static char *archive_path(const char *id, const char *path, size_t len, const char *rest, struct error *e)
{
    _cleanup_free_ char *folder = strndup(path, len ? len : 1); /* "/" at least */
    _cleanup_free_ char *encoded = folder ? docker_ops_encode(folder) : NULL;
    _cleanup_free_ char *query = encoded ? str_printf("/archive?path=%s%s", encoded, rest) : NULL;
    if (query)
        return docker_ops_path(id, query, e);
    (void)error_errno(e, -ENOMEM, "Calling the container engine");
    return NULL;
}

/* Unpacks `path` + `at` bytes as a name below the folder that the first `at` bytes name. */
static int put_below(struct container_engine *g, const char *id, const char *path, size_t at, unsigned mode,
                     const void *bytes, size_t len, long *ret_status, struct error *e)
{
    struct buf tar;
    char *url = archive_path(id, path, at, "&noOverwriteDirNonDir=true", e);
    int r = url ? 0 : -(int)ERR_VALIDATION;
    buf_init(&tar, len + TAR_ROOM);
    if (r == 0 && (buf_reserve(&tar, len + 4096) < 0 || /* at once, so that no copy is left where it grew */
                   docker_tar_write(path + at + 1, mode, clock_now_ms() / 1000, bytes, len, &tar) < 0))
        r = error_set(e, ERR_VALIDATION, "The name %.100s is too long for a file in a container.", path);
    if (r == 0) {
        struct docker_call call = { .method = "PUT",
                                    .path = url,
                                    .deadline_ms = DOCKER_CHANGE_MS,
                                    .body = tar.data,
                                    .body_len = tar.len,
                                    .content_type = "application/x-tar" };
        r = docker_ops_change(g, &call, path, ret_status, e);
    }
    if (tar.data)
        secret_wipe(tar.data, tar.cap);
    buf_done(&tar);
    free(url);
    return r;
}

int docker_put_file(struct container_engine *g, const char *id, const char *path, unsigned mode, const void *bytes,
                    size_t len, struct error *e)
{
    _cleanup_error_ struct error own = ERROR_INIT;
    long status = 0;
    int r = check_path(path, &own);
    if (r == 0 && len > DOCKER_FILE_MAX)
        r = error_set(&own, ERR_VALIDATION, "A file for a container can have at most %zu MiB.", DOCKER_FILE_MAX >> 20);
    if (r == 0)
        r = put_below(g, id, path, (size_t)(strrchr(path, '/') - path), mode, bytes, len, &status, &own);
    /* No such folder (or container). From the root on, the engine makes the folders; not at once so, because below a
     * read-only root it takes files only straight into a volume. */
    if (r < 0 && status == 404)
        r = put_below(g, id, path, 0, mode, bytes, len, &status, &own);
    return r < 0 ? error_set(e, own.code, "%s", own.message) : 0;
}

struct archive_call {
    engine_archive_fn fn;
    void *ctx;
};

static int archive_chunk(void *ctx, const char *bytes, size_t len)
{
    struct archive_call *a = ctx;
    return a->fn(a->ctx, bytes, len);
}

int docker_get_archive(struct container_engine *g, const char *id, const char *path, engine_archive_fn fn, void *ctx,
                       struct error *e)
{
    struct archive_call a = { .fn = fn, .ctx = ctx };
    _cleanup_error_ struct error own = ERROR_INIT;
    _cleanup_(docker_reply_done) struct docker_reply reply = { 0 };
    int r = str_eq(path, "/") ? 0 : check_path(path, e);
    if (r < 0)
        return r;
    _cleanup_free_ char *url = archive_path(id, path, strlen(path), "", &own);
    if (!url)
        return error_set(e, own.code, "%s", own.message);
    struct docker_call call = { .method = "GET",
                                .path = url,
                                .deadline_ms = ARCHIVE_MS,
                                .idle_ms = ARCHIVE_IDLE_MS,
                                .header_ms = DOCKER_CHANGE_MS,
                                .on_chunk = archive_chunk,
                                .ctx = &a };
    r = docker_client_call(docker_ops_client(g), &call, &reply, e);
    if (r < 0 || reply.status == 200)
        return r;
    return docker_refused(reply.status, buf_str(&reply.body), reply.body.len, path, NULL, e);
}
