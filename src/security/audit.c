#define LOG_ROOM "security"
#include "security/internal.h"

#include "base/jsonw.h"
#include "base/log.h"

#include <sodium.h>
#include <stdio.h>

/* Each entry's hash covers its fields and the hash of the entry before, so that no entry can be changed,
 * removed or put between without every later hash being wrong. */
struct entry {
    int64_t seq, at;
    const char *actor, *address, *request_id, *operation, *entity_type, *entity_id, *outcome, *before, *after;
    const char *previous;
};

#define ZERO_HASH "0000000000000000000000000000000000000000000000000000000000000000"
#define ENTRY_LIMIT (1 << 20)

static int hash_entry(const struct entry *x, char ret[65])
{
    _cleanup_buf_ struct buf b;
    struct jw w;
    uint8_t hash[crypto_hash_sha256_BYTES];
    buf_init(&b, 4 * ENTRY_LIMIT);
    jw_init(&w, &b);
    jw_array(&w);
    jw_string(&w, x->previous);
    jw_int(&w, x->seq);
    jw_int(&w, x->at);
    const char *fields[] = { x->actor, x->address, x->request_id, x->operation, x->entity_type, x->entity_id, x->outcome, x->before, x->after };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        jw_string(&w, fields[i]);
    jw_end(&w);
    if (!buf_ok(&b))
        return -1;
    (void)crypto_hash_sha256(hash, (const uint8_t *)buf_str(&b), b.len);
    hex_encode(hash, sizeof hash, ret);
    return 0;
}

static int head_of(struct store_conn *c, int64_t *ret_seq, char ret_hash[65], struct error *e)
{
    _cleanup_rows_ struct store_rows *rows = NULL;
    *ret_seq = 0;
    str_copy(ret_hash, 65, ZERO_HASH);
    int r = store_query(c, e, &rows, "SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1", "");
    if (r == 0 && (r = rows_next(rows, e)) == 1) {
        *ret_seq = rows_int(rows, 0);
        str_copy(ret_hash, 65, rows_text(rows, 1));
        r = 0;
    }
    return r;
}

static int append(struct security *s, struct entry *x, struct error *e)
{
    char previous[65], hash[65];
    _cleanup_conn_ struct store_conn *c = NULL;
    int r = store_acquire(s->store, STORE_WRITE, &c, e);
    if (r == 0)
        r = head_of(c, &x->seq, previous, e);
    if (r < 0)
        return r;
    x->seq++;
    x->previous = previous;
    if (hash_entry(x, hash) < 0)
        return error_set(e, ERR_INTERNAL, "The audit entry is too large.");
    r = store_exec(c, e, "INSERT INTO audit_log (seq, at, actor, address, request_id, operation, entity_type, entity_id, outcome, "
                         "before_state, after_state, previous_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
                   "iittttttttttt", x->seq, x->at, x->actor, x->address, x->request_id, x->operation, x->entity_type, x->entity_id,
                   x->outcome, x->before, x->after, previous, hash);
    return r == 0 ? store_commit(c, e) : r;
}

static char *actor_text(const struct actor *a)
{
    struct buf b;
    struct jw w;
    buf_init(&b, 4096);
    jw_init(&w, &b);
    jw_object(&w);
    jw_key(&w, "kind"), jw_string(&w, a->kind[0] ? a->kind : "anonymous");
    jw_key(&w, "id"), jw_string(&w, a->id[0] ? a->id : NULL);
    jw_key(&w, "name"), jw_string(&w, a->name[0] ? a->name : NULL);
    jw_key(&w, "role"), jw_string(&w, a->role > ROLE_PUBLIC ? role_name(a->role) : NULL);
    jw_end(&w);
    char *text = buf_steal(&b);
    buf_done(&b);
    return text;
}

static char *document_text(const json_t *document)
{
    size_t len = 0;
    char *text = document ? json_text(document, &len) : NULL;
    if (!text || len <= ENTRY_LIMIT)
        return text;
    free(text);
    return strdup("{\"note\":\"too large for the audit\"}");
}

void audit_write(struct security *s, struct request *rq, const struct actor *actor, int status, const struct error *e UNUSED)
{
    const struct request_audit_info *info = request_audit_info(rq);
    _cleanup_free_ char *who = actor_text(actor);
    _cleanup_free_ char *before = document_text(info->before), *after = document_text(info->after);
    struct entry x = {
        .at = clock_now_ms(),
        .actor = who,
        .address = request_address(rq),
        .request_id = request_id(rq),
        .operation = request_operation(rq),
        .entity_type = info->entity_type,
        .entity_id = info->entity_id,
        .outcome = status < 400 ? "success" : status == 401 || status == 403 ? "denied" : "failed",
        .before = before,
        .after = after,
    };
    struct error failure = ERROR_INIT;
    (void)pthread_mutex_lock(&s->audit_lock);
    int r = who ? append(s, &x, &failure) : error_set(&failure, ERR_INTERNAL, "No memory.");
    (void)pthread_mutex_unlock(&s->audit_lock);
    if (r < 0)
        log_error("The audit entry of %s was not written: %s", x.operation, failure.message);
    error_done(&failure);
}

static void read_entry(struct store_rows *r, struct entry *x)
{
    *x = (struct entry){
        .seq = rows_int(r, 0), .at = rows_int(r, 1), .actor = rows_text(r, 2), .address = rows_text(r, 3),
        .request_id = rows_text(r, 4), .operation = rows_text(r, 5), .entity_type = rows_text(r, 6),
        .entity_id = rows_text(r, 7), .outcome = rows_text(r, 8), .before = rows_text(r, 9), .after = rows_text(r, 10),
        .previous = rows_text(r, 11),
    };
}

#define ENTRY_COLUMNS "seq, at, actor, address, request_id, operation, entity_type, entity_id, outcome, before_state, after_state, previous_hash, hash"

/* NULL: the entry follows from `head`. */
static const char *entry_fault(const struct entry *x, const char *stored, int64_t expected_seq, const char *head)
{
    char hash[65];
    if (x->seq != expected_seq)
        return "an entry before this one is missing";
    if (!str_eq(x->previous, head))
        return "it does not name the entry before it";
    if (hash_entry(x, hash) < 0 || !str_eq(hash, stored))
        return "its content was changed after it was written";
    return NULL;
}

int audit_verify(struct store *s, struct audit_report *ret, struct error *e)
{
    struct audit_report report = { .ok = true };
    str_copy(report.head, sizeof report.head, ZERO_HASH);
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    int r = store_acquire(s, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows, "SELECT " ENTRY_COLUMNS " FROM audit_log ORDER BY seq", "");
    while (r == 0 && report.ok && (r = rows_next(rows, e)) == 1) {
        struct entry x;
        read_entry(rows, &x);
        const char *fault = entry_fault(&x, rows_text(rows, 12), report.checked + 1, report.head);
        report.checked++;
        if (fault) {
            report.ok = false;
            report.first_bad = x.seq;
            str_copy(report.reason, sizeof report.reason, fault);
        } else {
            str_copy(report.head, sizeof report.head, rows_text(rows, 12));
        }
        r = 0;
    }
    if (r < 0)
        return r;
    *ret = report;
    return 0;
}

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

static void write_entry(struct jw *w, const struct entry *x, const char *hash)
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
    jw_key(w, "hash"), jw_string(w, hash);
    jw_key(w, "previousHash"), jw_string(w, x->previous);
    jw_end(w);
}

struct audit_filter {
    const char *actor, *operation, *entity;
    int64_t from, to;
};

static int read_filter(const struct request *rq, struct audit_filter *f, struct error *e)
{
    f->actor = request_str(rq, "actor");
    f->operation = request_str(rq, "operation");
    f->entity = request_str(rq, "entity");
    f->from = 0;
    f->to = INT64_MAX;
    const char *from = request_str(rq, "from"), *to = request_str(rq, "to");
    int64_t ms;
    if (from && (time_parse(from, &f->from) < 0) && (str_to_int64(from, &f->from) < 0)) {
        (void)error_set(e, ERR_VALIDATION, "The request breaks the contract.");
        error_detail(e, "/query/from", "is not a time");
        return -ERR_VALIDATION;
    }
    if (to) {
        if (time_parse(to, &ms) < 0 && str_to_int64(to, &ms) < 0) {
            (void)error_set(e, ERR_VALIDATION, "The request breaks the contract.");
            error_detail(e, "/query/to", "is not a time");
            return -ERR_VALIDATION;
        }
        f->to = ms;
    }
    return 0;
}

static bool actor_matches(const char *json, const char *wanted)
{
    if (!wanted)
        return true;
    _cleanup_json_ json_t *a = json_loads(json, 0, NULL);
    return str_eq(json_str(a, "id"), wanted) || str_eq(json_str(a, "name"), wanted);
}

int security_list_audit(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct security *s = room;
    struct audit_filter f;
    char storage[128], cursor[256] = "", seq_text[24];
    const char *fields[1] = { NULL };
    int64_t below = INT64_MAX, limit = request_int(rq, "limit", 100), sent = 0, last = 0;
    int r = read_filter(rq, &f, e);
    if (r == 0 && request_str(rq, "cursor"))
        r = cursor_decode(request_str(rq, "cursor"), storage, sizeof storage, fields, 1, e);
    if (r < 0)
        return r;
    if (fields[0])
        (void)str_to_int64(fields[0], &below);
    _cleanup_conn_ struct store_conn *c = NULL;
    _cleanup_rows_ struct store_rows *rows = NULL;
    r = store_acquire(s->store, STORE_READ, &c, e);
    if (r == 0)
        r = store_query(c, e, &rows, "SELECT " ENTRY_COLUMNS " FROM audit_log WHERE seq < $1 AND at >= $2 AND at < $3 "
                                     "AND ($4 = '' OR operation = $4) AND ($5 = '' OR entity_id = $5) ORDER BY seq DESC",
                        "iiitt", below, f.from, f.to, f.operation ? f.operation : "", f.entity ? f.entity : "");
    if (r < 0)
        return r;
    struct jw *w = reply_json(rp, 200);
    jw_object(w);
    jw_key(w, "entries"), jw_array(w);
    while ((r = rows_next(rows, e)) == 1) {
        struct entry x;
        read_entry(rows, &x);
        if (!actor_matches(x.actor, f.actor))
            continue;
        if (sent == limit) {
            (void)snprintf(seq_text, sizeof seq_text, "%lld", (long long)last);
            const char *next[] = { seq_text };
            (void)cursor_encode(next, 1, cursor, sizeof cursor);
            break;
        }
        write_entry(w, &x, rows_text(rows, 12));
        last = x.seq;
        sent++;
    }
    jw_end(w);
    if (cursor[0])
        jw_key(w, "next"), jw_string(w, cursor);
    jw_end(w);
    return r < 0 ? r : 0;
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
