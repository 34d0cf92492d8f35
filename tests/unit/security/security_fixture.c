#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "security_fixture.h"

#include "base/yaml.h"
#include "http/embedded.h"
#include "http/server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- time ---- */

static _Atomic int64_t passed_ms;
static _Atomic unsigned calls;

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + passed_ms;
}

static int64_t wall(void *ctx)
{
    return read_clock(CLOCK_REALTIME);
}

static int64_t mono(void *ctx)
{
    return read_clock(CLOCK_MONOTONIC);
}

void fixture_pass(int64_t ms)
{
    passed_ms += ms;
}

unsigned fixture_calls(void)
{
    return calls;
}

/* ---- the API ---- */

static int answer_calls(void *room, struct request *rq, struct reply *rp, struct error *e)
{
    struct jw *w = reply_json(rp, str_eq(request_operation(rq), "createNode") ? 201 : 200);
    jw_object(w);
    jw_key(w, "calls"), jw_int(w, ++calls);
    jw_end(w);
    return 0;
}

static bool is_ours(const char *id)
{
    for (size_t i = 0; i < security_operation_count; i++)
        if (str_eq(security_operations[i].id, id))
            return true;
    return false;
}

/* A row for each operation of the contract that is not security's. */
static size_t other_rows(struct fixture *f)
{
    const char *path, *method;
    json_t *item, *operation;
    size_t n = 0;
    f->others = calloc(256, sizeof *f->others);
    json_object_foreach (json_object_get(f->contract, "paths"), path, item)
        json_object_foreach (item, method, operation) {
            const char *id = json_str(operation, "operationId");
            if (id && !is_ours(id) && n < 256)
                f->others[n++] = (struct api_operation){ .id = id, .handle = answer_calls };
        }
    return n;
}

static void start_server(struct fixture *f)
{
    struct error e = ERROR_INIT;
    assert_int_equal(yaml_load(embedded_contract, embedded_contract_len, &f->contract, &e), 0);
    struct api_options o = { .contract_yaml = embedded_contract,
                             .contract_len = embedded_contract_len,
                             .validate_replies = !f->options.other_rooms };
    security_hooks(f->security, &o.hooks);
    if (api_new(&o, &f->api, &e) < 0 ||
        api_add(f->api, security_operations, security_operation_count, f->security, &e) < 0 ||
        api_add(f->api, f->others, other_rows(f), f, &e) < 0)
        fail_msg("%s", e.message);
    assert_non_null(f->others);
}

static void listen_on(struct fixture *f)
{
    struct error e = ERROR_INIT;
    struct http_server_options o = { .listen = "127.0.0.1:0", .workers = 4 };
    api_bind(f->api, &o);
    if (http_server_start(&o, &f->server, &e) < 0)
        fail_msg("%s", e.message);
}

/* ---- start and end ---- */

static void open_parts(struct fixture *f)
{
    struct error e = ERROR_INIT;
    struct secret *secret = NULL;
    if (vault_open(f->dir, &f->vault, &e) < 0 ||
        store_open(&(struct store_options){ .path = f->database }, &f->store, &e) < 0)
        fail_msg("%s", e.message);
    struct security_options o = { .store = f->store,
                                  .vault = f->vault,
                                  .anonymous_per_minute = f->options.anonymous_per_minute,
                                  .known_per_minute = f->options.known_per_minute,
                                  .trusted_proxies = f->options.trusted_proxies };
    if (security_new(&o, &f->security, &e) < 0)
        fail_msg("%s", e.message);
    int made = security_make_owner(f->security, &secret, &e);
    assert_int_equal(made, f->owner[0] ? 0 : 1);
    if (made)
        str_copy(f->owner, sizeof f->owner, secret_reveal(secret, NULL));
    secret_free(secret);
    struct key k;
    assert_true(keys_owner(f->security, &k));
    str_copy(f->owner_id, sizeof f->owner_id, k.id);
}

static void open_server(struct fixture *f)
{
    struct error e = ERROR_INIT;
    if (!f->options.server)
        return;
    start_server(f);
    if (api_seal(f->api, &e) < 0)
        fail_msg("%s", e.message);
    listen_on(f);
}

static void close_parts(struct fixture *f)
{
    if (f->server)
        http_server_stop(f->server, 1000);
    api_free(f->api);
    json_decref(f->contract);
    free(f->others);
    security_free(f->security);
    store_close(f->store);
    vault_close(f->vault);
    f->server = NULL, f->api = NULL, f->contract = NULL, f->others = NULL;
    f->security = NULL, f->store = NULL, f->vault = NULL;
}

void fixture_start(struct fixture *f, const struct fixture_options *o)
{
    static const struct clock clock = { wall, mono, NULL };
    *f = (struct fixture){ .options = *o };
    passed_ms = 0;
    calls = 0;
    clock_set(&clock);
    str_copy(f->dir, sizeof f->dir, "/tmp/hb-security-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->database, sizeof f->database, "%s/hub.db", f->dir);
    open_parts(f);
    open_server(f);
}

void fixture_reopen(struct fixture *f)
{
    close_parts(f);
    open_parts(f);
    open_server(f);
}

void fixture_end(struct fixture *f)
{
    close_parts(f);
    DIR *d = opendir(f->dir);
    for (struct dirent *x; d && (x = readdir(d));)
        if (x->d_name[0] != '.')
            (void)unlinkat(dirfd(d), x->d_name, 0);
    (void)closedir(d);
    assert_int_equal(rmdir(f->dir), 0);
    clock_set(NULL);
}

/* ---- the database, past the program ---- */

static sqlite3 *open_database(struct fixture *f)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(f->database, &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 5000);
    return db;
}

void fixture_sql(struct fixture *f, const char *sql)
{
    sqlite3 *db = open_database(f);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    (void)sqlite3_close(db);
}

int64_t fixture_number(struct fixture *f, const char *sql)
{
    sqlite3 *db = open_database(f);
    sqlite3_stmt *s = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    (void)sqlite3_close(db);
    return n;
}

void fixture_make_key(struct fixture *f, const char *name, enum role role, int64_t expires_ms, char ret_id[ID_LEN + 1],
                      char ret_secret[64])
{
    struct error e = ERROR_INIT;
    _cleanup_secret_ struct secret *secret = NULL;
    if (keys_make(f->security, name, role, expires_ms, "test", ret_id, &secret, &e) < 0)
        fail_msg("%s", e.message);
    str_copy(ret_secret, 64, secret_reveal(secret, NULL));
}

/* ---- a client ---- */

static int connect_to(const struct fixture *f)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)http_server_port(f->server)) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = { .tv_sec = 20 };
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void send_request(int fd, const char *method, const char *target, const char *headers, const char *body)
{
    size_t len = body ? strlen(body) : 0;
    _cleanup_free_ char *text =
        body ? str_printf("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
                          "Content-Length: %zu\r\n%s\r\n%s",
                          method, target, len, headers, body)
             : str_printf("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", method, target, headers);
    assert_non_null(text);
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

void fixture_ask(struct fixture *f, const char *method, const char *target, const char *headers, const char *body,
                 struct answer *ret)
{
    struct buf b;
    char chunk[8192];
    int fd = connect_to(f);
    buf_init(&b, 8 << 20);
    send_request(fd, method, target, headers, body);
    for (ssize_t n; (n = recv(fd, chunk, sizeof chunk, 0)) > 0;)
        (void)buf_append(&b, chunk, (size_t)n);
    (void)close(fd);
    *ret = (struct answer){ .head = buf_steal(&b) };
    assert_non_null(ret->head);
    char *end = strstr(ret->head, "\r\n\r\n");
    assert_non_null(end);
    end[2] = '\0';
    ret->text = end + 4;
    assert_int_equal(sscanf(ret->head, "HTTP/1.1 %d ", &ret->status), 1);
    ret->body = json_loads(ret->text, 0, NULL);
}

void answer_done(struct answer *a)
{
    json_decref(a->body);
    free(a->head);
    *a = (struct answer){ 0 };
}

void answer_header(const struct answer *a, const char *name, char *ret, size_t size)
{
    size_t n = strlen(name);
    ret[0] = '\0';
    for (const char *line = strstr(a->head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
            const char *value = line + 3 + n + strspn(line + 3 + n, " ");
            (void)snprintf(ret, size, "%.*s", (int)strcspn(value, "\r"), value);
            return;
        }
}

const char *key_header(const char *secret, char ret[128])
{
    (void)snprintf(ret, 128, "X-API-Key: %s\r\n", secret);
    return ret;
}

const char *bearer_header(const char *token, char ret[4200])
{
    (void)snprintf(ret, 4200, "Authorization: Bearer %s\r\n", token);
    return ret;
}
