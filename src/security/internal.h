/* What the files of security share. Internal to the room. */
#ifndef HB_SECURITY_INTERNAL_H
#define HB_SECURITY_INTERNAL_H

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/map.h"
#include "base/str.h"
#include "security/security.h"

#include <pthread.h>

#define SESSION_MS ((int64_t)24 * 3600 * 1000)
#define TOKEN_MAX_MS ((int64_t)3600 * 1000)
#define IDEMPOTENCY_KEPT_MS ((int64_t)24 * 3600 * 1000)

struct key {
    char id[ID_LEN + 1], name[401], prefix[16], created_by[401]; /* a name has up to 100 characters */
    enum role role;
    uint8_t hash[VAULT_HASH_LEN];
    int64_t created_ms, expires_ms, last_used_ms, revoked_ms; /* 0: never */
};

struct session {
    char id[ID_LEN + 1], key_id[ID_LEN + 1], name[401], csrf[65];
    char hash[2 * VAULT_HASH_LEN + 1]; /* hex of the token's keyed hash */
    enum role role;
    int64_t expires_ms;
};

struct limiter; /* rate_limit.c */
struct proxies; /* proxies.c */

struct security {
    struct store *store;
    struct vault *vault;
    struct events *events; /* may be NULL */
    bool behind_proxy;
    pthread_rwlock_t lock;      /* guards the maps and lists below */
    struct map *keys_by_prefix; /* owns the keys */
    struct map *keys_by_id;     /* borrows */
    struct map *sessions;       /* hash of the token -> struct session, owned */
    struct map *sessions_by_id; /* borrows */
    struct map *signing;        /* kid -> struct signing_key, owned */
    char current_kid[ID_LEN + 1];
    uint8_t login_hash[VAULT_HASH_LEN];
    int64_t login_expires_ms;   /* 0: no login token outstanding */
    struct limiter *anonymous, *known, *failed_keys;
    struct proxies *proxies;
};

/* security.c: the one sentence for every kind of bad credentials; -ERR_UNAUTHENTICATED. */
int security_refuse(struct error *e);
/* keys.c */
int keys_load(struct security *s, struct error *e);
int keys_make(struct security *s, const char *name, enum role role, int64_t expires_ms, const char *created_by,
              char ret_id[ID_LEN + 1], struct secret **ret_secret, struct error *e);
/* Fills a copy of the key that `secret` opens; negative ERR_UNAUTHENTICATED, the same sentence whatever is wrong,
 * or ERR_RATE_LIMITED after too many failures with this key's prefix. */
int keys_check(struct security *s, const char *secret, struct key *ret, struct error *e);
bool keys_check_at_once(struct security *s, const char *secret,
                        struct key *ret); /* false: not good, or its use must be written first */
bool keys_usable(struct security *s, const char *key_id); /* not revoked, not expired */
size_t keys_count(struct security *s);
int keys_find(struct security *s, const char *id, struct key *ret, struct error *e);
/* A copy of all, newest first; caller frees. NULL: no memory. */
struct key *keys_list(struct security *s, size_t *ret_n);
/* The oldest admin key that works: whom a login token stands for. False: there is none. */
bool keys_owner(struct security *s, struct key *ret);
/* ERR_CONFLICT for the last admin key that works. Its sessions and tokens end with it. */
int keys_revoke(struct security *s, const char *id, struct error *e);
/* sessions.c */
int sessions_load(struct security *s, struct error *e);
int sessions_open(struct security *s, const struct key *key, struct session *ret, struct secret **ret_token,
                  struct error *e);
int sessions_check(struct security *s, const char *token, struct session *ret, struct error *e);
bool sessions_alive(struct security *s, const char *session_id);
int sessions_end(struct security *s, const char *session_id, struct error *e);
void sessions_end_of_key(struct security *s, const char *key_id); /* in memory; keys_revoke deletes the rows */
void sessions_tidy(struct security *s); /* forgets the expired ones, in memory */
/* tokens.c */
int tokens_load(struct security *s, struct error *e);
int tokens_rotate(struct security *s, char ret_kid[ID_LEN + 1], struct error *e);
int tokens_issue(struct security *s, const struct actor *who, enum role role, int64_t ttl_ms, char *ret, size_t size,
                 int64_t *ret_expires_ms, struct error *e);
int tokens_check(struct security *s, const char *token, struct actor *ret, struct error *e);
void tokens_tidy(struct security *s); /* forgets signing keys whose last token has expired, in memory */
/* rate_limit.c: token buckets, at most `capacity` of them. */
struct limiter *limiter_new(unsigned per_minute, size_t capacity);
void limiter_free(struct limiter *l);
/* Takes one. 0, or the seconds to wait. `ret_left` may be NULL. */
unsigned limiter_take(struct limiter *l, const char *who, unsigned *ret_left);
unsigned limiter_limit(const struct limiter *l);
size_t limiter_size(struct limiter *l);
/* proxies.c: who the client is, and its bucket ("1.2.3.4", "2001:db8:1:2::/64"). */
int proxies_parse(const char *list, struct proxies **ret, struct error *e);
void proxies_free(struct proxies *p);
void proxies_client(const struct proxies *p, const char *peer, const char *forwarded_for, char ret[64]);
void address_bucket(const char *address, char ret[64]);
/* audit.c */
void audit_write(struct security *s, struct request *rq, const struct actor *actor, int status);
/* idempotency.c */
int idempotency_claim(void *ctx, struct request *rq, const struct actor *actor, struct reply *rp, struct error *e);
void idempotency_store(void *ctx, struct request *rq, const struct actor *actor, int status, struct blob *body);
int idempotency_forget_claims(struct security *s, struct error *e);

/* audit_list.c: rows of handlers.c's table */
int security_list_audit(void *room, struct request *rq, struct reply *rp, struct error *e);
int security_verify_audit(void *room, struct request *rq, struct reply *rp, struct error *e);

#endif
