#define LOG_ROOM "ci"
#include "deployment/ci_internal.h"

#include "base/failpoint.h"
#include "base/log.h"

#include <stdio.h>

/* Deliveries: the signature is checked over the bytes as they came, then the payload is kept (sealed until it is worked,
 * then dropped) and the answer given; a job reads it. One delivery is one row for ever, so it is worked once, whatever
 * is sent again and whenever the hub dies. */

#define JOB "ci-delivery"

struct key {
    char source[21], id[65];
};

static void seal_context(const char *source, const char *id, char ret[128])
{
    (void)snprintf(ret, 128, "delivery:%s:%s", source, id);
}

/* ---- taking ---- */

static const char *field_of(void *rq, const char *name)
{
    return request_header(rq, name);
}

static size_t count_of(void *rq, const char *name)
{
    return request_header_count(rq, name);
}

static struct ci_source *source_of(struct ci *c, const char *operation)
{
    for (size_t i = 0; i < CI_SOURCES_MAX && c->sources[i]; i++)
        if (str_eq(c->sources[i]->ops->operation, operation))
            return c->sources[i];
    return NULL;
}

/* A body that was kept before under another id is the same news: somebody repeats what he saw, or two hooks tell it. One
 * that could not be read may be sent again: the hub may have learned to. */
static int is_known(struct store_conn *conn, const char *source, const char *id, const char *hash, struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r =
        store_query(conn, e, &rows,
                    "SELECT 1 FROM webhook_deliveries WHERE source = $1 AND (id = $2 OR body_hash = $3) AND verdict <> "
                    "'failed' LIMIT 1",
                    "ttt", source, id, hash);
    return r < 0 ? r : rows_next(rows, e);
}

static int add_job(struct ci *c, struct store_conn *conn, const char *source, const char *id, char ret_job[ID_LEN + 1],
                   struct error *e)
{
    _cleanup_json_ json_t *arguments = json_pack("{s:s, s:s}", "source", source, "id", id);
    return arguments ? jobs_add_in(c->jobs, conn, JOB, arguments, 0, 0, ret_job, e)
                     : error_set(e, ERR_INTERNAL, "No memory.");
}

/* With its job, in one transaction. 1: kept, 0: it was before. */
static int keep(struct ci *c, const char *source, const struct ci_delivery *d, struct error *e)
{
    char job[ID_LEN + 1] = "";
    char context[128], hash[2 * VAULT_HASH_LEN + 1];
    uint8_t digest[VAULT_HASH_LEN];
    _cleanup_free_ uint8_t *sealed = NULL;
    size_t sealed_len = 0;
    _cleanup_conn_ struct store_conn *conn = NULL;
    seal_context(source, d->id, context);
    vault_hash(c->vault, "delivery", d->payload, d->len, digest);
    hex_encode(digest, sizeof digest, hash);
    int r = vault_seal(c->vault, context, d->payload, d->len, &sealed, &sealed_len, e);
    if (r == 0)
        r = store_acquire(c->store, STORE_WRITE, &conn, e);
    if (r == 0)
        r = is_known(conn, source, d->id, hash, e);
    if (r != 0)
        return r < 0 ? r : 0;
    r = store_exec(
        conn, e,
        "INSERT INTO webhook_deliveries (source, id, event, body_hash, payload_sealed, verdict, received_at) "
        "VALUES ($1, $2, $3, $4, $5, 'waiting', $6) ON CONFLICT (source, id) DO UPDATE SET event = "
        "excluded.event, body_hash = excluded.body_hash, payload_sealed = excluded.payload_sealed, verdict = "
        "'waiting', reason = NULL, worked_at = NULL, received_at = excluded.received_at",
        "ttttbi", source, d->id, d->event, hash, (const void *)sealed, sealed_len, clock_now_ms());
    if (r == 0)
        r = add_job(c, conn, source, d->id, job, e);
    if (r == 0)
        r = store_commit(conn, e);
    if (r < 0)
        return r;
    jobs_added(c->jobs, job);
    return 1;
}

static int check_json(const struct ci_delivery *d, struct error *e)
{
    _cleanup_json_ json_t *payload = NULL;
    int r = json_parse(d->payload, d->len, &payload, e);
    if (r < 0)
        error_prefix(e, "The payload");
    else if (!json_is_object(payload))
        r = error_set(e, ERR_MALFORMED, "The payload is not a JSON object.");
    return r;
}

int ci_receive(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct ci *c = room;
    MAGIC_CHECK(c, CI_MAGIC);
    struct ci_source *s = source_of(c, request_operation(rq));
    struct ci_request in = {
        .content_type = request_header(rq, "Content-Type"), .header = field_of, .header_count = count_of, .ctx = rq
    };
    struct ci_delivery d = { .payload = NULL };
    if (!s)
        return error_set(e, ERR_NOT_FOUND, "This hub takes no deliveries of that source.");
    in.body = request_raw_body(rq, &in.len);
    int r = s->ops->receive(s, &in, &d, e);
    if (r == 0)
        r = check_json(&d, e);
    if (r == 0)
        r = keep(c, s->ops->name, &d, e);
    free(d.payload);
    if (r < 0)
        return r;
    bool fresh = r == 1;
    failpoint("ci", "keep", "after");
    struct jw *w = reply_json(rp, 202);
    jw_object(w);
    jw_key(w, "delivery_id"), jw_string(w, d.id);
    jw_key(w, "accepted"), jw_bool(w, fresh);
    jw_key(w, "duplicate"), jw_bool(w, !fresh);
    jw_end(w);
    return 0;
}

/* ---- working ---- */

struct reading {
    struct ci *ci;
    const struct ci_source *source;
    struct ci_batch batch;
    char reason[512], repository[256];
    bool tracked;
};

static int on_fact(void *ctx, const struct ci_fact *fact, struct error *e)
{
    struct reading *w = ctx;
    if (fact->repository)
        str_copy(w->repository, sizeof w->repository, fact->repository);
    if (fact->kind == CI_IGNORED) {
        str_copy(w->reason, sizeof w->reason, fact->reason);
        return 0;
    }
    w->tracked = true;
    return ci_track(w->ci, &w->batch, w->source, fact, e);
}

/* 1: to be worked, 0: it was. */
static int load(struct ci *c, const struct key *k, char event[64], json_t **ret, struct error *e)
{
    char context[128];
    size_t len = 0;
    _cleanup_conn_ struct store_conn *conn = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    _cleanup_secret_ struct secret *text = NULL;
    int r = store_acquire(c->store, STORE_READ, &conn, e);
    if (r == 0)
        r = store_query(
            conn, e, &rows,
            "SELECT event, payload_sealed FROM webhook_deliveries WHERE source = $1 AND id = $2 AND verdict = "
            "'waiting'",
            "tt", k->source, k->id);
    if (r < 0 || (r = rows_next(rows, e)) <= 0)
        return r;
    str_copy(event, 64, rows_text(rows, 0));
    const void *sealed = rows_blob(rows, 1, &len);
    seal_context(k->source, k->id, context);
    r = vault_unseal(c->vault, context, sealed, len, &text, e);
    if (r < 0)
        return r;
    const char *bytes = secret_reveal(text, &len);
    r = json_parse(bytes, len, ret, e);
    return r < 0 ? r : 1;
}

static int write_verdict(struct store_conn *conn, const struct key *k, const char *verdict, const char *reason,
                         const char *repository, struct error *e)
{
    return store_exec(conn, e,
                      "UPDATE webhook_deliveries SET verdict = $1, reason = $2, repository = $3, worked_at = $4, "
                      "payload_sealed = NULL WHERE source = $5 AND id = $6",
                      "tttitt", verdict, *reason ? reason : NULL, *repository ? repository : NULL, clock_now_ms(),
                      k->source, k->id);
}

static int take_facts(struct ci *c, struct ci_source *s, struct reading *w, const char *event, const json_t *payload,
                      struct error *e)
{
    _cleanup_conn_ struct store_conn *conn = NULL;
    int r = store_acquire(c->store, STORE_WRITE, &conn, e);
    if (r < 0)
        return r;
    w->batch.conn = conn;
    r = s->ops->read(s, event, payload, on_fact, w, e);
    return r == 0 ? store_commit(conn, e) : r;
}

static int close_delivery(struct ci *c, const struct key *k, const char *verdict, const char *reason,
                          const char *repository, struct error *e)
{
    _cleanup_conn_ struct store_conn *conn = NULL;
    int r = store_acquire(c->store, STORE_WRITE, &conn, e);
    if (r == 0)
        r = write_verdict(conn, k, verdict, reason, repository, e);
    return r == 0 ? store_commit(conn, e) : r;
}

/* Taking the facts may be repeated, so a hub that dies before the verdict is written does it again. */
static int work(struct ci *c, struct ci_source *s, const struct key *k, const char *event, const json_t *payload,
                struct error *e)
{
    struct reading w = { .ci = c, .source = s };
    failpoint("ci", "facts", "before");
    int r = take_facts(c, s, &w, event, payload, e);
    failpoint("ci", "facts", "after");
    if (r == 0)
        ci_batch_committed(c, &w.batch);
    if (r == 0 && *w.batch.run)
        r = ci_show(c, k->source, w.batch.run, e);
    return r == 0 ? close_delivery(c, k, w.tracked ? "tracked" : "ignored", w.reason, w.repository, e) : r;
}

static int give_up(struct ci *c, const struct key *k, const struct error *why, struct error *e)
{
    return close_delivery(c, k, "failed", why->message, "", e);
}

static int run(void *ctx, struct job *job, struct error *e)
{
    struct ci *c = ctx;
    struct key k = { "", "" };
    char event[64] = "";
    _cleanup_json_ json_t *payload = NULL;
    struct error why = ERROR_INIT;
    str_copy(k.source, sizeof k.source, json_str(job->arguments, "source"));
    str_copy(k.id, sizeof k.id, json_str(job->arguments, "id"));
    struct ci_source *s = ci_source_named(c, k.source);
    int r = s ? load(c, &k, event, &payload, &why) : error_set(&why, ERR_INTERNAL, "There is no source %s.", k.source);
    if (r == 1)
        r = work(c, s, &k, event, payload, &why);
    bool again = r == -(int)ERR_UNAVAILABLE;
    if (r < 0 && !again) {
        log_warn("Delivery %s (%s %s) says nothing that is understood: %s", k.id, k.source, event, why.message);
        r = give_up(c, &k, &why, e);
    }
    error_done(&why);
    return again ? JOB_AGAIN : r < 0 ? r : JOB_DONE;
}

int ci_deliveries_open(struct ci *c, struct error *e)
{
    return jobs_register(c->jobs,
                         &(struct job_kind){ .name = JOB, .run = run, .ctx = c, .title = "Read a delivery of CI" }, e);
}

/* ---- list ---- */

static void write_row(struct jw *w, struct store_rows *rows)
{
    static const char *const names[] = { "id", "source", "event", "verdict", "reason", "repository" };
    jw_object(w);
    for (int i = 0; i < (int)ARRAY_LEN(names); i++)
        jw_key(w, names[i]), jw_string(w, rows_text(rows, i));
    jw_key(w, "receivedAt"), jw_time(w, rows_int(rows, 6));
    jw_key(w, "workedAt"), jw_time(w, rows_int(rows, 7));
    jw_end(w);
}

int ci_list_deliveries(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct ci *c = room;
    const char *source = request_str(rq, "source"), *verdict = request_str(rq, "verdict");
    struct ci_page page;
    _cleanup_conn_ struct store_conn *conn = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = ci_page_begin(rq, &page, e);
    if (r == 0)
        r = store_acquire(c->store, STORE_READ, &conn, e);
    if (r == 0)
        r = store_query(
            conn, e, &rows,
            "SELECT id, source, event, verdict, reason, repository, received_at, worked_at FROM "
            "webhook_deliveries WHERE ($1 = '' OR source = $1) AND ($2 = '' OR verdict = $2) AND "
            "(received_at, source, id) < ($3, $4, $5) ORDER BY received_at DESC, source DESC, id DESC LIMIT $6",
            "ttitti", source ? source : "", verdict ? verdict : "", page.before_ms, page.before_source, page.before_id,
            page.limit + 1);
    if (r < 0)
        return r;
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "deliveries"), jw_array(w);
    while ((r = rows_next(rows, e)) == 1 &&
           ci_page_take(&page, rows_int(rows, 6), rows_text(rows, 1), rows_text(rows, 0)))
        write_row(w, rows);
    jw_end(w);
    ci_page_end(&page, w);
    jw_end(w);
    return r < 0 ? r : 0;
}
