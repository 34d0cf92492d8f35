#define LOG_ROOM "security"
#include "security/audit_entry.h"

#include "base/jsonw.h"
#include "base/log.h"

#include <sodium.h>
#include <stdio.h>

/* Each entry's hash covers its fields and the hash of the entry before, so that no entry can be changed,
 * removed or put between without every later hash being wrong. */
#define ZERO_HASH "0000000000000000000000000000000000000000000000000000000000000000"
#define DOCUMENT_LIMIT (1 << 20)
#define HASHED_LIMIT (6 * DOCUMENT_LIMIT) /* two documents, at worst twice as long when quoted, and the rest */

static int hash_entry(const struct audit_entry *x, char ret[65])
{
    _cleanup_buf_ struct buf b;
    struct jw w;
    uint8_t hash[crypto_hash_sha256_BYTES];
    buf_init(&b, HASHED_LIMIT);
    jw_init(&w, &b);
    jw_array(&w);
    jw_string(&w, x->previous);
    jw_int(&w, x->seq);
    jw_int(&w, x->at);
    const char *fields[] = { x->actor,     x->address, x->request_id, x->operation, x->entity_type,
                             x->entity_id, x->outcome, x->before,     x->after };
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

/* The head is read in the transaction that writes: there is one chain, however many write. */
static int append(struct security *s, struct audit_entry *x, struct error *e)
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
    r = store_exec(
        c, e,
        "INSERT INTO audit_log (seq, at, actor, address, request_id, operation, entity_type, entity_id, outcome, "
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
    if (!text || len <= DOCUMENT_LIMIT)
        return text;
    free(text);
    return strdup("{\"note\":\"too large for the audit\"}");
}

void audit_write(struct security *s, struct request *rq, const struct actor *actor, int status)
{
    const struct request_audit_info *info = request_audit_info(rq);
    _cleanup_free_ char *who = actor_text(actor);
    _cleanup_free_ char *before = document_text(info->before), *after = document_text(info->after);
    struct audit_entry x = {
        .at = clock_now_ms(),
        .actor = who,
        .address = request_address(rq),
        .request_id = request_id(rq),
        .operation = request_operation(rq),
        .entity_type = info->entity_type,
        .entity_id = info->entity_id,
        .outcome = status < 400                     ? "success"
                   : status == 401 || status == 403 ? "denied"
                                                    : "failed",
        .before = before,
        .after = after,
    };
    struct error failure = ERROR_INIT;
    int r = who ? append(s, &x, &failure) : error_set(&failure, ERR_INTERNAL, "No memory.");
    if (r < 0)
        log_error("The audit entry of %s was not written: %s", x.operation, failure.message);
    error_done(&failure);
}

void audit_entry_read(struct store_rows *r, struct audit_entry *x)
{
    *x = (struct audit_entry){
        .seq = rows_int(r, 0),
        .at = rows_int(r, 1),
        .actor = rows_text(r, 2),
        .address = rows_text(r, 3),
        .request_id = rows_text(r, 4),
        .operation = rows_text(r, 5),
        .entity_type = rows_text(r, 6),
        .entity_id = rows_text(r, 7),
        .outcome = rows_text(r, 8),
        .before = rows_text(r, 9),
        .after = rows_text(r, 10),
        .previous = rows_text(r, 11),
        .hash = rows_text(r, 12),
    };
}

/* NULL: the entry follows from `head`. */
static const char *entry_fault(const struct audit_entry *x, int64_t expected_seq, const char *head)
{
    char hash[65];
    if (x->seq != expected_seq)
        return "an entry before this one is missing";
    if (!str_eq(x->previous, head))
        return "it does not name the entry before it";
    if (hash_entry(x, hash) < 0 || !str_eq(hash, x->hash))
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
        r = store_query(c, e, &rows, "SELECT " AUDIT_COLUMNS " FROM audit_log ORDER BY seq", "");
    while (r == 0 && report.ok && (r = rows_next(rows, e)) == 1) {
        struct audit_entry x;
        audit_entry_read(rows, &x);
        const char *fault = entry_fault(&x, report.checked + 1, report.head);
        report.checked++;
        if (fault) {
            report.ok = false;
            report.first_bad = x.seq;
            str_copy(report.reason, sizeof report.reason, fault);
        } else {
            str_copy(report.head, sizeof report.head, x.hash);
        }
        r = 0;
    }
    if (r < 0)
        return r;
    *ret = report;
    return 0;
}
