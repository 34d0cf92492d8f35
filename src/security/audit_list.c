#include "security/audit_entry.h"

#include "base/jsonw.h"

#include <stdio.h>

static void write_nullable(struct jw *w, const char *key, const char *text)
{
    jw_key(w, key);
    jw_string(w, text && *text ? text : NULL);
}

static void write_document(struct jw *w, const char *key, const char *json)
{
    jw_key(w, key);
    if (json)
        jw_raw(w, json, strlen(json));
    else
        jw_null(w);
}

static void write_entry(struct jw *w, const struct audit_entry *x)
{
    jw_object(w);
    jw_key(w, "seq"), jw_int(w, x->seq);
    jw_key(w, "at"), jw_time(w, x->at);
    write_document(w, "actor", x->actor);
    write_nullable(w, "address", x->address);
    write_nullable(w, "requestId", x->request_id);
    jw_key(w, "operation"), jw_string(w, x->operation);
    write_nullable(w, "entityType", x->entity_type);
    write_nullable(w, "entityId", x->entity_id);
    jw_key(w, "outcome"), jw_string(w, x->outcome);
    write_document(w, "before", x->before);
    write_document(w, "after", x->after);
    jw_key(w, "hash"), jw_string(w, x->hash);
    jw_key(w, "previousHash"), jw_string(w, x->previous);
    jw_end(w);
}

struct audit_filter {
    const char *actor, *operation, *entity;
    int64_t from, to, below; /* seq */
};

/* RFC 3339 or milliseconds since 1970; absent leaves `ret`. */
static int read_time(const struct request *rq, const char *name, int64_t *ret, struct error *e)
{
    char pointer[32];
    const char *text = request_str(rq, name);
    if (!text || time_parse(text, ret) == 0 || str_to_int64(text, ret) == 0)
        return 0;
    (void)snprintf(pointer, sizeof pointer, "/%s", name);
    (void)error_set(e, ERR_VALIDATION, "The request breaks the contract.");
    error_detail(e, pointer, "is not a time");
    return -ERR_VALIDATION;
}

static int read_filter(const struct request *rq, struct audit_filter *f, struct error *e)
{
    char storage[128];
    const char *fields[1] = { NULL };
    *f = (struct audit_filter){ .actor = request_str(rq, "actor"),
                                .operation = request_str(rq, "operation"),
                                .entity = request_str(rq, "entity"),
                                .to = INT64_MAX,
                                .below = INT64_MAX };
    int r = read_time(rq, "from", &f->from, e);
    if (r == 0)
        r = read_time(rq, "to", &f->to, e);
    if (r == 0 && request_str(rq, "cursor"))
        r = cursor_decode(request_str(rq, "cursor"), storage, sizeof storage, fields, 1, e);
    if (r == 0 && fields[0])
        (void)str_to_int64(fields[0], &f->below);
    return r;
}

static bool actor_matches(const char *json, const char *wanted)
{
    if (!wanted)
        return true;
    _cleanup_json_ json_t *a = json_loads(json, 0, NULL);
    return str_eq(json_str(a, "id"), wanted) || str_eq(json_str(a, "name"), wanted);
}

/* Writes up to `limit` entries; `ret_last` is the last one's seq when there are more, else 0. */
static int write_entries(struct jw *w, struct store_rows *rows, const struct audit_filter *f, int64_t limit,
                         int64_t *ret_last, struct error *e)
{
    int r;
    int64_t sent = 0, last = 0;
    while ((r = rows_next(rows, e)) == 1) {
        struct audit_entry x;
        audit_entry_read(rows, &x);
        if (!actor_matches(x.actor, f->actor))
            continue;
        if (sent++ == limit)
            break;
        write_entry(w, &x);
        last = x.seq;
    }
    *ret_last = r == 1 ? last : 0;
    return r < 0 ? r : 0;
}

int security_list_audit(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct security *s = room;
    struct audit_filter f;
    char cursor[256], seq[24];
    int64_t last = 0;
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = read_filter(rq, &f, e);
    if (r == 0)
        r = store_acquire(s->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows,
                        "SELECT " AUDIT_COLUMNS " FROM audit_log WHERE seq < $1 AND at >= $2 AND at < $3 "
                        "AND ($4 = '' OR operation = $4) AND ($5 = '' OR entity_id = $5) ORDER BY seq DESC",
                        "iiitt", f.below, f.from, f.to, f.operation ? f.operation : "", f.entity ? f.entity : "");
    if (r < 0)
        return r;
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "entries"), jw_array(w);
    r = write_entries(w, rows, &f, request_int(rq, "limit", 100), &last, e);
    jw_end(w);
    (void)snprintf(seq, sizeof seq, "%lld", (long long)last);
    if (last && cursor_encode((const char *[]){ seq }, 1, cursor, sizeof cursor) == 0)
        jw_key(w, "next"), jw_string(w, cursor);
    jw_end(w);
    return r;
}

int security_verify_audit(void *room, struct request *rq UNUSED, struct reply *rp, struct error *e)
{
    struct security *s = room;
    struct audit_report report;
    int r = audit_verify(s->store, &report, e);
    if (r < 0)
        return r;
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "ok"), jw_bool(w, report.ok);
    jw_key(w, "checked"), jw_int(w, report.checked);
    if (!report.ok) {
        jw_key(w, "firstBad"), jw_int(w, report.first_bad);
        jw_key(w, "reason"), jw_string(w, report.reason);
    }
    jw_key(w, "head"), jw_string(w, report.head);
    jw_end(w);
    return 0;
}
