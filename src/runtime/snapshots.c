#define LOG_ROOM "runtime"
#include "runtime/volumes_internal.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zstd.h>

#define MOUNTED_AT "/hbcloud-volume"
#define LEVEL 3
#define DISK_RESERVE ((int64_t)512 << 20) /* bytes that a snapshot leaves free */
#define DISK_LOOK ((int64_t)64 << 20)     /* bytes between two looks */
#define TAR_END 1024                      /* a whole tar ends with so many zeros */

/* ---- a file that grows ---- */

struct writer {
    const struct job *job;
    int fd;
    ZSTD_CCtx *zstd;
    EVP_MD_CTX *hash; /* of the file as it is stored */
    uint8_t out[65536];
    int64_t raw, stored, limit, looked;
    size_t zeros; /* at the end so far */
    struct error *e;
};

static int check_room(struct writer *w)
{
    struct statvfs fs;
    if (w->stored > w->limit)
        return error_set(w->e, ERR_CONFLICT,
                         "The snapshots would take more than the %lld MiB that they may. Delete old ones, raise "
                         "snapshots.limit, or refuse the snapshot.",
                         (long long)(w->limit >> 20));
    if (w->stored - w->looked < DISK_LOOK && w->looked)
        return 0;
    w->looked = w->stored + 1;
    if (fstatvfs(w->fd, &fs) == 0 && (int64_t)fs.f_bavail * (int64_t)fs.f_frsize < DISK_RESERVE)
        return error_set(w->e, ERR_UNAVAILABLE, "The disk of the hub's data is nearly full: no room for a snapshot.");
    return 0;
}

static int store_bytes(struct writer *w, const uint8_t *bytes, size_t n)
{
    (void)EVP_DigestUpdate(w->hash, bytes, n);
    for (size_t at = 0; at < n;) {
        ssize_t got = write(w->fd, bytes + at, n - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(w->e, -errno, "Writing a snapshot");
        at += (size_t)got;
    }
    w->stored += (int64_t)n;
    return check_room(w);
}

static int compress(struct writer *w, const void *bytes, size_t n, ZSTD_EndDirective mode)
{
    ZSTD_inBuffer in = { bytes, n, 0 };
    size_t left;
    int r = 0;
    do {
        ZSTD_outBuffer out = { w->out, sizeof w->out, 0 };
        left = ZSTD_compressStream2(w->zstd, &out, &in, mode);
        if (ZSTD_isError(left))
            return error_set(w->e, ERR_INTERNAL, "Compressing a snapshot: %s.", ZSTD_getErrorName(left));
        r = out.pos ? store_bytes(w, w->out, out.pos) : 0;
    } while (r == 0 && (mode == ZSTD_e_end ? left > 0 : in.pos < in.size));
    return r;
}

static size_t zeros_at_end(const char *bytes, size_t n)
{
    size_t zeros = 0;
    while (zeros < n && !bytes[n - 1 - zeros])
        zeros++;
    return zeros;
}

static int on_bytes(void *ctx, const void *bytes, size_t n)
{
    struct writer *w = ctx;
    size_t zeros = zeros_at_end(bytes, n);
    if (*w->job->cancelled)
        return error_set(w->e, ERR_CONFLICT, "Cancelled.");
    if (*w->job->stopping)
        return error_set(w->e, ERR_UNAVAILABLE, "The hub is stopping.");
    w->raw += (int64_t)n;
    w->zeros = zeros == n ? w->zeros + n : zeros;
    return compress(w, bytes, n, ZSTD_e_continue);
}

/* ---- the helper: a container with the volume mounted, made and never started ---- */

static void remove_helpers(struct container_engine *g, const char *job_id)
{
    struct engine_container *list = NULL;
    size_t n = 0;
    _cleanup_error_ struct error e = ERROR_INIT;
    int r = g->ops->list(g, &list, &n, &e);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (str_eq(json_string_value(json_object_get(list[i].labels, LABEL_HELPER)), job_id))
            r = g->ops->remove(g, list[i].id, true, &e);
    engine_containers_free(list, n);
    if (r < 0)
        log_warn("A helper container of job %s may have stayed: %s", job_id, e.message);
}

static int create_helper(struct container_engine *g, const char *job_id, const char *volume, const char *image,
                         char ret_id[65], struct error *e)
{
    char name[64];
    const char *command[] = { "never-started", NULL };
    struct engine_mount mount = { (char *)(uintptr_t)"volume", (char *)(uintptr_t)volume, (char *)(uintptr_t)MOUNTED_AT,
                                  true };
    _cleanup_json_ json_t *labels = json_pack("{s:s}", LABEL_HELPER, job_id);
    (void)snprintf(name, sizeof name, "hbcloud-snapshot-%s", job_id);
    struct engine_spec spec = { .name = name,
                                .image = image,
                                .command = command,
                                .labels = labels,
                                .mounts = &mount,
                                .mount_count = 1,
                                .restart_policy = "no" };
    return g->ops->create(g, &spec, ret_id, e);
}

/* Any image will do, since nothing of it is run: the service's own, else one of a container that is there. */
static int make_helper(struct container_engine *g, const struct snapshot *s, const struct volume_uses *u, char *images,
                       char ret_id[65], struct error *e)
{
    int r = -ERR_NOT_FOUND;
    char *rest = images;
    for (char *one; r == -ERR_NOT_FOUND && rest && (one = strsep(&rest, " "));)
        if (one[0])
            r = create_helper(g, s->id, s->volume, one, ret_id, e);
    for (size_t i = 0; r == -ERR_NOT_FOUND && i < u->image_count; i++)
        r = create_helper(g, s->id, s->volume, u->images[i], ret_id, e);
    if (r == -ERR_NOT_FOUND)
        return error_set(e, ERR_CONFLICT,
                         "There is no image on this node to read the volume %.100s with, so no snapshot can be made. "
                         "Deploy any service there, or refuse the snapshot.",
                         s->volume);
    return r;
}

/* ---- one snapshot ---- */

/* The bytes of all but `id`. */
static int64_t stored_so_far(struct store_conn *c, const char *id, bool *ret_there, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_query(
        c, e, &rows,
        "SELECT COALESCE(SUM(CASE WHEN id = $1 THEN 0 ELSE bytes END), 0), COALESCE(SUM(CASE WHEN id = $1 THEN 1 ELSE 0 END), 0) FROM "
        "volume_snapshots",
        "t", id);
    if (r == 0 && (r = rows_next(rows, e)) == 1) {
        *ret_there = rows_int(rows, 1) > 0;
        return rows_int(rows, 0);
    }
    return r < 0 ? r : -ERR_INTERNAL;
}

static int record(struct volumes *v, const struct job *job, const struct snapshot *s, const struct writer *w,
                  const char *sha256, struct error *e)
{
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(v->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = jobs_fence_check(c, job, e);
    if (r == 0)
        r = store_exec(
            c, e,
            "INSERT INTO volume_snapshots (id, volume, node_id, service, bytes, raw_bytes, sha256, in_use, "
            "for_removal, created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "
            "ON CONFLICT (id) DO UPDATE SET bytes = excluded.bytes, raw_bytes = excluded.raw_bytes, sha256 = "
            "excluded.sha256, in_use = excluded.in_use, created_at = excluded.created_at",
            "ttttiitiiti", s->id, s->volume, s->node_id, s->service[0] ? s->service : NULL, w->stored, w->raw, sha256,
            (int64_t)s->in_use, (int64_t)s->for_removal, s->by, clock_now_ms());
    return r == 0 ? store_commit(c, e) : r;
}

static int fill(struct writer *w, struct container_engine *g, const char *helper, struct error *e)
{
    _cleanup_error_ struct error own = ERROR_INIT;
    w->e = &own;
    int r = g->ops->get_archive(g, helper, MOUNTED_AT, on_bytes, w, e);
    if (own.code) /* what stopped it is ours to say */
        return error_set(e, own.code, "%s", own.message);
    w->e = e;
    if (r == 0 && w->zeros < TAR_END)
        r = error_set(e, ERR_UPSTREAM, "The engine's archive of the volume was cut short.");
    if (r == 0)
        r = compress(w, NULL, 0, ZSTD_e_end);
    if (r == 0 && fsync(w->fd) < 0)
        r = error_errno(e, -errno, "Writing a snapshot");
    return r;
}

static int open_writer(struct writer *w, const char *path, struct error *e)
{
    w->zstd = ZSTD_createCCtx();
    w->hash = EVP_MD_CTX_new();
    if (!w->zstd || !w->hash || EVP_DigestInit_ex(w->hash, EVP_sha256(), NULL) != 1)
        return error_set(e, ERR_INTERNAL, "No memory.");
    (void)ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, LEVEL);
    (void)ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
    w->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return w->fd < 0 ? error_errno(e, -errno, "Cannot write %s", path) : 0;
}

static void close_writer(struct writer *w, char ret_sha256[65])
{
    uint8_t hash[32];
    if (w->hash && EVP_DigestFinal_ex(w->hash, hash, NULL) == 1)
        hex_encode(hash, sizeof hash, ret_sha256);
    EVP_MD_CTX_free(w->hash);
    (void)ZSTD_freeCCtx(w->zstd);
    if (w->fd >= 0)
        (void)close(w->fd);
}

/* Into a file of another name, which becomes the snapshot when it is whole and on the disk. */
static int write_file(struct volumes *v, const struct job *job, struct container_engine *g, const struct snapshot *s,
                      const char *helper, int64_t limit, bool there, struct error *e)
{
    char sha256[65] = "";
    _cleanup_free_ char *part = str_printf("%s/%s.part", v->directory, s->id),
                        *whole = str_printf("%s/%s.tar.zst", v->directory, s->id);
    _cleanup_free_ struct writer *w = calloc(1, sizeof *w);
    if (!part || !whole || !w)
        return error_set(e, ERR_INTERNAL, "No memory.");
    *w = (struct writer){ .job = job, .fd = -1, .limit = limit, .e = e };
    int r = open_writer(w, part, e);
    if (r == 0)
        r = fill(w, g, helper, e);
    close_writer(w, sha256);
    if (r == 0 && rename(part, whole) < 0)
        r = error_errno(e, -errno, "Writing a snapshot");
    if (r == 0) /* the volume may be removed next */
        file_sync_directory_of(whole);
    if (r == 0)
        r = record(v, job, s, w, sha256, e);
    if (r < 0) {
        (void)unlink(part);
        if (!there) /* else it is an earlier try's */
            (void)unlink(whole);
    }
    return r;
}

int snapshot_make(struct volumes *v, const struct job *job, struct container_engine *g, const struct snapshot *s,
                  const struct volume_uses *u, char *images, struct error *e)
{
    bool there = false;
    char helper[65];
    struct store_conn *c = NULL;
    int64_t used = store_acquire(v->store, STORE_READ, &c, e);
    if (used == 0)
        used = stored_so_far(c, s->id, &there, e);
    store_release(c);
    if (used < 0)
        return (int)used;
    if (mkdir(v->directory, 0700) < 0 && errno != EEXIST)
        return error_errno(e, -errno, "Cannot make %s", v->directory);
    remove_helpers(g, s->id); /* of a try before */
    int r = make_helper(g, s, u, images, helper, e);
    if (r < 0)
        return r;
    r = write_file(v, job, g, s, helper, v->bytes_max - used, there, e);
    remove_helpers(g, s->id);
    if (r == 0)
        log_info("Volume %s of node %s is kept as the snapshot %s.", s->volume, s->node_id, s->id);
    return r;
}

/* ---- the API ---- */

#define COLUMNS                                                                                              \
    "s.id, s.volume, s.node_id, COALESCE(n.name, ''), s.service, s.bytes, s.raw_bytes, s.sha256, s.in_use, " \
    "s.for_removal, s.created_by, s.created_at FROM volume_snapshots s LEFT JOIN infrastructure_nodes n ON n.id = s.node_id"

static void write_snapshot(const struct volumes *v, struct jw *w, struct store_rows *rows)
{
    _cleanup_free_ char *file = str_printf("%s/%s.tar.zst", v->directory, rows_text(rows, 0));
    jw_object(w);
    jw_key(w, "id"), jw_string(w, rows_text(rows, 0));
    jw_key(w, "volume"), jw_string(w, rows_text(rows, 1));
    jw_key(w, "nodeId"), jw_string(w, rows_text(rows, 2));
    jw_key(w, "node"), jw_string(w, rows_text(rows, 3)[0] ? rows_text(rows, 3) : NULL);
    jw_key(w, "service"), jw_string(w, rows_text(rows, 4));
    jw_key(w, "bytes"), jw_int(w, rows_int(rows, 5));
    jw_key(w, "rawBytes"), jw_int(w, rows_int(rows, 6));
    jw_key(w, "sha256"), jw_string(w, rows_text(rows, 7));
    jw_key(w, "inUse"), jw_bool(w, rows_int(rows, 8));
    jw_key(w, "reason"), jw_string(w, rows_int(rows, 9) ? "removal" : "request");
    jw_key(w, "createdBy"), jw_string(w, rows_text(rows, 10));
    jw_key(w, "createdAt"), jw_time(w, rows_int(rows, 11));
    jw_key(w, "file"), jw_string(w, file);
    jw_end(w);
}

void snapshot_tell(struct volumes *v, const char *id)
{
    struct jw w;
    struct store_conn *c = NULL;
    struct store_rows *rows = NULL;
    _cleanup_buf_ struct buf b;
    _cleanup_error_ struct error e = ERROR_INIT;
    buf_init(&b, 65536);
    jw_init(&w, &b);
    int r = store_acquire(v->store, STORE_READ, &c, &e);
    if (r == 0)
        r = store_query(c, &e, &rows, "SELECT " COLUMNS " WHERE s.id = $1", "t", id);
    if (r == 0 && (r = rows_next(rows, &e)) == 1)
        write_snapshot(v, &w, rows);
    rows_done(rows);
    store_release(c);
    if (r < 0)
        log_warn("Nobody was told of snapshot %s: %s", id, e.message);
    else if (v->events && b.len && buf_ok(&b))
        events_publish(v->events, "snapshot.created", "snapshot", id, buf_str(&b), b.len);
}

/* Newest first. */
static int write_page(struct volumes *v, struct request *rq, const char *before, struct jw *w, char *next, size_t size,
                      struct error *e)
{
    const char *volume = request_str(rq, "volume");
    int64_t limit = request_int(rq, "limit", 100), n = 0;
    char last[ID_LEN + 1] = "";
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(v->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows,
                        "SELECT " COLUMNS " WHERE ($1 = '' OR s.volume = $1) AND ($2 = '' OR s.id < $2) ORDER BY s.id "
                        "DESC LIMIT $3",
                        "tti", volume ? volume : "", before ? before : "", limit + 1);
    while (r == 0 && (r = rows_next(rows, e)) == 1) {
        r = 0;
        if (n++ == limit) {
            (void)cursor_encode((const char *[]){ last }, 1, next, size);
            break;
        }
        str_copy(last, sizeof last, rows_text(rows, 0));
        write_snapshot(v, w, rows);
    }
    return r;
}

int list_snapshots(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct volumes *v = room;
    char storage[256], next[512] = "";
    const char *before[1] = { NULL };
    bool there;
    struct jw w;
    _cleanup_buf_ struct buf b;
    struct store_conn *c = NULL;
    int r =
        request_str(rq, "cursor") ? cursor_decode(request_str(rq, "cursor"), storage, sizeof storage, before, 1, e) : 0;
    buf_init(&b, 0);
    jw_init(&w, &b);
    jw_array(&w);
    if (r == 0)
        r = write_page(v, rq, before[0], &w, next, sizeof next, e);
    jw_end(&w);
    if (r == 0)
        r = store_acquire(v->store, STORE_READ, &c, e);
    int64_t used = r == 0 ? stored_so_far(c, "", &there, e) : r;
    store_release(c);
    if (used < 0)
        return (int)used;
    struct jw *out = reply_json(rp, 200);
    jw_object(out);
    jw_key(out, "snapshots"), jw_raw(out, buf_str(&b), b.len);
    jw_key(out, "bytes"), jw_int(out, used);
    jw_key(out, "bytesMax"), jw_int(out, v->bytes_max);
    if (next[0])
        jw_key(out, "next"), jw_string(out, next);
    jw_end(out);
    return 0;
}

/* The row goes last: a file without one would be nobody's. */
int delete_snapshot(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct volumes *v = room;
    const char *id = request_str(rq, "snapshotId");
    bool there = false;
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(v->store, STORE_WRITE, &c, e);
    int64_t used = r == 0 ? stored_so_far(c, id, &there, e) : r;
    if (used < 0)
        return (int)used;
    if (!there)
        return error_set(e, ERR_NOT_FOUND, "There is no snapshot %.64s.", id);
    _cleanup_free_ char *file = str_printf("%s/%s.tar.zst", v->directory, id);
    if (!file)
        return error_set(e, ERR_INTERNAL, "No memory.");
    if (unlink(file) < 0 && errno != ENOENT)
        return error_errno(e, -errno, "Cannot delete %s", file);
    r = store_exec(c, e, "DELETE FROM volume_snapshots WHERE id = $1", "t", id);
    if (r == 0)
        r = store_commit(c, e);
    if (r < 0)
        return r;
    request_audit(rq, "snapshot", id, NULL, NULL);
    if (v->events)
        events_publish(v->events, "snapshot.deleted", "snapshot", id, "null", 4);
    reply_empty(rp, 204);
    return 0;
}
