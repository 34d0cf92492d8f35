/* Calls to an engine that follows a script: which version is spoken, what each kind of bad answer becomes, streams that
 * are stopped, many callers at once. */
#include "base/json.h"
#include "base/str.h"
#include "fake_engine.h"
#include "integrations/docker/docker.h"
#include "integrations/docker/docker_http.h"
#include "integrations/docker/docker_ops.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ONE "[{\"Id\":\"aa\",\"Names\":[\"/web\"],\"State\":\"running\"}]"
#define INSPECT_PLAIN "{\"Id\":\"aa\",\"Name\":\"/web\",\"State\":{\"Status\":\"running\"},\"Config\":{\"Tty\":false}}"
#define INSPECT_TTY "{\"Id\":\"aa\",\"Name\":\"/web\",\"State\":{\"Status\":\"running\"},\"Config\":{\"Tty\":true}}"
#define STREAM_HEAD "HTTP/1.1 200 OK\r\nApi-Version: 1.52\r\n\r\n"

struct setup {
    struct fake_engine *fake;
    struct container_engine *engine;
    struct error e;
};

static struct setup begin(const char *min, const char *max)
{
    struct setup s = { .fake = fake_engine_new(min, max) };
    if (docker_engine_new(fake_engine_host(s.fake), &s.engine, &s.e) < 0)
        fail_msg("%s", s.e.message);
    return s;
}

static void end(struct setup *s)
{
    s->engine->ops->free(s->engine);
    fake_engine_free(s->fake);
    error_done(&s->e);
}

static int list(struct setup *s)
{
    struct engine_container *all;
    size_t n;
    int r = s->engine->ops->list(s->engine, &all, &n, &s->e);
    if (r < 0)
        return r;
    engine_containers_free(all, n);
    return (int)n;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- versions ---- */

static void O01_containers_are_listed_through_an_old_and_a_new_engine(void **state)
{
    static const struct {
        const char *min, *max, *call;
    } cases[] = { { "1.44", "1.52", "GET /v1.52/containers/json?all=1" },
                  { NULL, "1.41", "GET /v1.41/containers/json?all=1" },
                  { "1.44", "1.99", "GET /v1.52/containers/json?all=1" } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct setup s = begin(cases[i].min, cases[i].max);
        fake_engine_json(s.fake, "GET /containers/json", 200, ONE);
        assert_int_equal(list(&s), 1);
        assert_int_equal(list(&s), 1);
        assert_int_equal(fake_engine_calls(s.fake, cases[i].call), 2);
        assert_int_equal(fake_engine_calls(s.fake, "GET /version"), 1);
        end(&s);
    }
}

static void O01_an_engine_out_of_range_is_named_with_both_ranges(void **state)
{
    struct setup s = begin("1.60", "1.70");
    assert_int_equal(list(&s), -(int)ERR_UPSTREAM);
    assert_non_null(strstr(s.e.message, "1.60 to 1.70"));
    assert_non_null(strstr(s.e.message, "1.40 to 1.52"));
    end(&s);
}

static void O01_the_version_is_agreed_again_after_an_upgrade_and_a_downgrade(void **state)
{
    struct setup s = begin(NULL, "1.41");
    fake_engine_json(s.fake, "GET /containers/json", 200, ONE);
    assert_int_equal(list(&s), 1);
    fake_engine_range(s.fake, "1.44", "1.52"); /* refuses 1.41 */
    assert_int_equal(list(&s), 1);
    fake_engine_range(s.fake, "1.12", "1.43"); /* refuses 1.52 */
    assert_int_equal(list(&s), 1);
    fake_engine_range(s.fake, "1.12", "1.47"); /* refuses nothing, but says that it knows more */
    assert_int_equal(list(&s), 1);
    assert_int_equal(list(&s), 1);
    assert_int_equal(fake_engine_calls(s.fake, "GET /v1.47/containers/json"), 1);
    fake_engine_range(s.fake, "1.60", "1.70");
    assert_int_equal(list(&s), -(int)ERR_UPSTREAM);
    assert_non_null(strstr(s.e.message, "1.60"));
    end(&s);
}

static void an_engine_that_only_answers_a_ping_is_understood(void **state)
{
    struct setup s = begin(NULL, "1.45");
    fake_engine_json(s.fake, "GET /version", 403, "{\"message\":\"a proxy forbids it\"}");
    fake_engine_json(s.fake, "GET /containers/json", 200, "[]");
    assert_int_equal(list(&s), 0);
    assert_int_equal(fake_engine_calls(s.fake, "GET /v1.45/containers/json"), 1);
    end(&s);
}

static void the_constructor_does_not_connect_and_checks_the_address(void **state)
{
    static const char *const bad[] = { "http://x", "unix://relative", "tcp://",   "tcp://a/b", "tcp://a b", "ssh://",
                                       "x",        "tcp://a@b",       "tcp://a?b" };
    struct container_engine *g = NULL;
    struct error e = ERROR_INIT;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(docker_engine_new(bad[i], &g, &e), -(int)ERR_VALIDATION);
    assert_null(g);
    assert_int_equal(docker_engine_new("unix:///nowhere/docker.sock", &g, &e), 0);
    struct engine_info i;
    assert_int_equal(g->ops->info(g, &i, &e), -(int)ERR_UNAVAILABLE);
    assert_non_null(strstr(e.message, "No such file"));
    g->ops->free(g);
    assert_int_equal(docker_engine_new("tcp://127.0.0.1:1", &g, &e), 0);
    assert_int_equal(g->ops->info(g, &i, &e), -(int)ERR_UNAVAILABLE);
    g->ops->free(g);
}

static void an_engine_that_comes_back_is_used_again(void **state)
{
    struct setup s = begin("1.44", "1.52");
    fake_engine_json(s.fake, "GET /containers/json", 200, ONE);
    assert_int_equal(list(&s), 1);
    fake_engine_bytes(s.fake, "GET /containers/json", "", 0, FAKE_CLOSE);
    assert_int_equal(list(&s), -(int)ERR_UNAVAILABLE);
    fake_engine_json(s.fake, "GET /containers/json", 200, ONE);
    assert_int_equal(list(&s), 1);
    assert_int_equal(fake_engine_calls(s.fake, "GET /version"), 2); /* another one may have come back */
    end(&s);
}

/* ---- bad answers ---- */

static void bad_answers_become_the_right_errors(void **state)
{
    static const struct {
        const char *bytes;
        enum fake_ending ending;
        enum error_code code;
    } cases[] = {
        { "SSH-2.0-OpenSSH\r\n", FAKE_CLOSE, ERR_UPSTREAM },
        { "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[{\"Id\":", FAKE_CLOSE, ERR_UNAVAILABLE },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", FAKE_CLOSE, ERR_UPSTREAM },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[{", FAKE_CLOSE, ERR_UNAVAILABLE },
        { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", FAKE_HOLD, ERR_UPSTREAM },
        { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", FAKE_HOLD, ERR_UPSTREAM },
        { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", FAKE_HOLD, ERR_UPSTREAM },
        { "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", FAKE_HOLD, ERR_UPSTREAM },
        { "HTTP/1.1 500 No\r\nContent-Length: 19\r\n\r\n{\"message\":\"broken\"}", FAKE_HOLD, ERR_UPSTREAM },
        { "", FAKE_CLOSE, ERR_UNAVAILABLE },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct setup s = begin("1.44", "1.52");
        fake_engine_bytes(s.fake, "GET /containers/json", cases[i].bytes, strlen(cases[i].bytes), cases[i].ending);
        int r = list(&s);
        if (r != -(int)cases[i].code)
            fail_msg("case %zu: %d %s", i, r, s.e.message);
        assert_true(*s.e.message);
        end(&s);
    }
}

static void an_answer_has_a_limit(void **state)
{
    struct setup s = begin("1.44", "1.52");
    char *head = str_printf("HTTP/1.1 200 OK\r\n\r\n[%4096s", "");
    fake_engine_bytes(s.fake, "GET /containers/json", head, strlen(head), FAKE_FLOOD);
    assert_int_equal(list(&s), -(int)ERR_UPSTREAM);
    assert_non_null(strstr(s.e.message, "32 MiB"));
    free(head);
    end(&s);
}

static void a_slow_engine_is_given_up_at_the_deadline(void **state)
{
    static const char *const starts[] = { "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab" };
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        struct fake_engine *f = fake_engine_new("1.44", "1.52");
        struct docker_http *h;
        struct docker_reply reply;
        struct error e = ERROR_INIT;
        struct docker_call call = { .method = "GET", .path = "/slow", .deadline_ms = 150 };
        fake_engine_bytes(f, "GET /slow", starts[i], strlen(starts[i]), FAKE_HOLD);
        assert_int_equal(docker_http_new(&(struct docker_target_options){ .host = fake_engine_host(f) }, &h, &e), 0);
        int64_t from = now_ms();
        assert_int_equal(docker_http_call(h, &call, &reply, &e), -(int)ERR_UPSTREAM_TIMEOUT);
        assert_in_range(now_ms() - from, 100, 5000);
        docker_reply_done(&reply);
        docker_http_free(h);
        fake_engine_free(f);
    }
}

static void a_missing_status_line_has_a_deadline_of_its_own(void **state)
{
    struct fake_engine *f = fake_engine_new("1.44", "1.52");
    struct docker_http *h;
    struct docker_reply reply;
    struct error e = ERROR_INIT;
    struct docker_call call = { .method = "GET", .path = "/slow", .header_ms = 100 };
    fake_engine_bytes(f, "GET /slow", "", 0, FAKE_HOLD);
    assert_int_equal(docker_http_new(&(struct docker_target_options){ .host = fake_engine_host(f) }, &h, &e), 0);
    assert_int_equal(docker_http_call(h, &call, &reply, &e), -(int)ERR_UPSTREAM_TIMEOUT);
    docker_reply_done(&reply);
    docker_http_free(h);
    fake_engine_free(f);
}

/* ---- single calls ---- */

static void states_that_are_reached_already_are_success(void **state)
{
    struct setup s = begin("1.44", "1.52");
    const struct engine_ops *ops = s.engine->ops;
    fake_engine_bytes(s.fake, "POST /containers/web/start", "HTTP/1.1 304 Not Modified\r\n\r\n", 29, FAKE_HOLD);
    fake_engine_bytes(s.fake, "POST /containers/web/stop", "HTTP/1.1 304 Not Modified\r\n\r\n", 29, FAKE_HOLD);
    assert_int_equal(ops->start(s.engine, "web", &s.e), 0);
    assert_int_equal(ops->stop(s.engine, "web", 3, &s.e), 0);
    assert_int_equal(fake_engine_calls(s.fake, "POST /v1.52/containers/web/stop?t=3"), 1);
    fake_engine_json(s.fake, "DELETE /containers/web", 404, "{\"message\":\"No such container: web\"}");
    assert_int_equal(ops->remove(s.engine, "web", true, &s.e), 0);
    assert_int_equal(s.e.code, ERR_NONE);
    assert_int_equal(ops->remove(s.engine, "web", true, NULL), 0);
    assert_int_equal(fake_engine_calls(s.fake, "DELETE /v1.52/containers/web?v=0&force=1"), 2); /* volumes stay */
    assert_int_equal(ops->start(s.engine, "gone", &s.e), -(int)ERR_NOT_FOUND);
    end(&s);
}

static void a_removal_by_another_is_waited_for(void **state)
{
    struct setup s = begin("1.44", "1.52");
    fake_engine_json(s.fake, "DELETE /containers/web", 409,
                     "{\"message\":\"removal of container web is already in progress\"}");
    fake_engine_json(s.fake, "POST /containers/web/wait?condition=removed", 200, "{\"StatusCode\":0}");
    assert_int_equal(s.engine->ops->remove(s.engine, "web", false, &s.e), 0);
    assert_int_equal(fake_engine_calls(s.fake, "POST /v1.52/containers/web/wait"), 1);
    end(&s);
}

static void bad_names_never_reach_the_engine(void **state)
{
    struct setup s = begin("1.44", "1.52");
    const struct engine_ops *ops = s.engine->ops;
    static const char *const bad[] = { NULL, "", "../info", "a b", "a?b", "a/b", "a%2fb", "a\r\nHost: x" };
    struct engine_container c;
    struct engine_image image;
    struct engine_stats stats;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(ops->inspect(s.engine, bad[i], &c, NULL) < 0, 1);
        assert_int_equal(ops->inspect(s.engine, bad[i], &c, &s.e), -(int)ERR_VALIDATION);
        assert_int_equal(ops->start(s.engine, bad[i], &s.e), -(int)ERR_VALIDATION);
        assert_int_equal(ops->remove(s.engine, bad[i], true, &s.e), -(int)ERR_VALIDATION);
        assert_int_equal(ops->rename(s.engine, "web", bad[i], &s.e), -(int)ERR_VALIDATION);
        assert_int_equal(ops->stats(s.engine, bad[i], &stats, &s.e), -(int)ERR_VALIDATION);
        assert_int_equal(ops->volume_remove(s.engine, bad[i], &s.e), -(int)ERR_VALIDATION);
        if (!str_eq(bad[i], "a/b")) {
            assert_int_equal(ops->image(s.engine, bad[i], &image, &s.e), -(int)ERR_VALIDATION);
            assert_int_equal(ops->pull(s.engine, bad[i], NULL, NULL, NULL, &s.e), -(int)ERR_VALIDATION);
        }
    }
    assert_int_equal(fake_engine_calls(s.fake, ""), 0);
    end(&s);
}

static void creating_hands_over_the_id_and_masks_values(void **state)
{
    struct setup s = begin("1.44", "1.52");
    json_t *environment = json_pack("{s:s}", "TOKEN", "sesame");
    struct engine_spec spec = { .name = "web", .image = "demo:1", .environment = environment };
    char id[65] = "kept";
    fake_engine_json(s.fake, "POST /containers/create?name=web", 400, "{\"message\":\"bad TOKEN=sesame\"}");
    assert_int_equal(s.engine->ops->create(s.engine, &spec, id, &s.e), -(int)ERR_UPSTREAM);
    assert_null(strstr(s.e.message, "sesame"));
    fake_engine_json(s.fake, "POST /containers/create?name=web", 201, "{}");
    assert_int_equal(s.engine->ops->create(s.engine, &spec, id, &s.e), -(int)ERR_UPSTREAM);
    assert_string_equal(id, "kept");
    fake_engine_json(s.fake, "POST /containers/create?name=web", 201, "{\"Id\":\"aa\",\"Warnings\":null}");
    assert_int_equal(s.engine->ops->create(s.engine, &spec, id, &s.e), 0);
    assert_string_equal(id, "aa");
    json_decref(environment);
    end(&s);
}

/* ---- logs ---- */

struct text {
    char bytes[3][64];
    int calls, empty, stop_at_empty;
};

static int keep(void *ctx, enum engine_stream stream, const char *bytes, size_t len)
{
    struct text *t = ctx;
    t->calls++;
    if (!len)
        return ++t->empty == t->stop_at_empty ? -66 : 0;
    if (strlen(t->bytes[stream]) + len < sizeof(t->bytes[stream]))
        strncat(t->bytes[stream], bytes, len);
    return 0;
}

static void O02_the_terminal_setting_decides_how_a_log_is_read(void **state)
{
    static const char plain[] = STREAM_HEAD "\1\0\0\0\0\0\0\5HELLO\2\0\0\0\0\0\0\2no";
    static const char tty[] = STREAM_HEAD "HELLO";
    const struct engine_log_request rq = { .want_stdout = true, .want_stderr = true, .tail = 5, .since_ms = 1500 };
    struct setup s = begin("1.44", "1.52");
    struct text a = { 0 }, b = { 0 };
    fake_engine_json(s.fake, "GET /containers/web/json", 200, INSPECT_PLAIN);
    fake_engine_bytes(s.fake, "GET /containers/aa/logs", plain, sizeof plain - 1, FAKE_CLOSE);
    assert_int_equal(s.engine->ops->logs(s.engine, "web", &rq, keep, &a, &s.e), 0);
    assert_string_equal(a.bytes[STREAM_STDOUT], "HELLO");
    assert_string_equal(a.bytes[STREAM_STDERR], "no");
    fake_engine_json(s.fake, "GET /containers/web/json", 200, INSPECT_TTY);
    fake_engine_bytes(s.fake, "GET /containers/aa/logs", tty, sizeof tty - 1, FAKE_CLOSE);
    assert_int_equal(s.engine->ops->logs(s.engine, "web", &rq, keep, &b, &s.e), 0);
    assert_string_equal(b.bytes[STREAM_STDOUT], "HELLO");
    assert_int_equal(
        fake_engine_calls(s.fake,
                          "GET /v1.52/containers/aa/logs?stdout=1&stderr=1&timestamps=0&follow=0&tail=5&since=1.500"),
        2);
    end(&s);
}

static void a_log_in_the_wrong_form_or_of_no_stream_is_an_error(void **state)
{
    static const char tty[] = STREAM_HEAD "HELLO WORLD";
    struct engine_log_request rq = { .want_stdout = true };
    struct setup s = begin("1.44", "1.52");
    struct text t = { 0 };
    fake_engine_json(s.fake, "GET /containers/web/json", 200, INSPECT_PLAIN);
    fake_engine_bytes(s.fake, "GET /containers/aa/logs", tty, sizeof tty - 1, FAKE_CLOSE);
    assert_int_equal(s.engine->ops->logs(s.engine, "web", &rq, keep, &t, &s.e), -(int)ERR_UPSTREAM);
    fake_engine_json(s.fake, "GET /containers/aa/logs", 409,
                     "{\"message\":\"can not get logs from container which is dead\"}");
    assert_int_equal(s.engine->ops->logs(s.engine, "web", &rq, keep, &t, &s.e), -(int)ERR_CONFLICT);
    rq.want_stdout = false;
    assert_int_equal(s.engine->ops->logs(s.engine, "web", &rq, keep, &t, &s.e), -(int)ERR_VALIDATION);
    assert_int_equal(t.calls, 0);
    end(&s);
}

static void a_quiet_log_that_is_followed_can_be_stopped(void **state)
{
    static const char plain[] = STREAM_HEAD "\1\0\0\0\0\0\0\5HELLO";
    const struct engine_log_request rq = { .want_stdout = true, .follow = true };
    struct setup s = begin("1.44", "1.52");
    struct text t = { .stop_at_empty = 2 };
    fake_engine_json(s.fake, "GET /containers/web/json", 200, INSPECT_PLAIN);
    fake_engine_bytes(s.fake, "GET /containers/aa/logs", plain, sizeof plain - 1, FAKE_HOLD);
    int64_t from = now_ms();
    assert_int_equal(s.engine->ops->logs(s.engine, "web", &rq, keep, &t, &s.e), -66);
    assert_in_range(now_ms() - from, 0, 3000);
    assert_string_equal(t.bytes[STREAM_STDOUT], "HELLO");
    end(&s);
}

/* ---- pull ---- */

static int count_pull(void *ctx, const struct engine_progress *p)
{
    int *left = ctx;
    assert_non_null(p->status);
    return --*left == 0 ? -55 : 0;
}

static void a_pull_asks_for_tag_or_digest_and_reports_errors_of_its_stream(void **state)
{
#define DIGEST "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    static const char good[] =
        STREAM_HEAD "{\"status\":\"Pulling from a\",\"id\":\"latest\"}\r\n{\"status\":\"Digest: x\"}\r\n";
    static const char bad[] = STREAM_HEAD
        "{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{\"message\":\"disk full\"},\"error\":\"disk full\"}\r\n";
    struct setup s = begin("1.44", "1.52");
    int (*pull)(struct container_engine *, const char *, const struct engine_credentials *, engine_progress_fn, void *,
                struct error *) = s.engine->ops->pull;
    fake_engine_bytes(s.fake, "POST /images/create", good, sizeof good - 1, FAKE_CLOSE);
    assert_int_equal(pull(s.engine, "h:5000/a", NULL, NULL, NULL, &s.e), 0);
    assert_int_equal(fake_engine_calls(s.fake, "POST /v1.52/images/create?fromImage=h:5000/a&tag=latest"), 1);
    assert_int_equal(pull(s.engine, "a:1@" DIGEST, NULL, NULL, NULL, &s.e), 0);
    assert_int_equal(fake_engine_calls(s.fake, "POST /v1.52/images/create?fromImage=a&tag=" DIGEST), 1);
    int left = 2;
    assert_int_equal(pull(s.engine, "a", NULL, count_pull, &left, &s.e), -55);
    fake_engine_bytes(s.fake, "POST /images/create", bad, sizeof bad - 1, FAKE_CLOSE);
    assert_int_equal(pull(s.engine, "a", NULL, NULL, NULL, &s.e), -(int)ERR_UPSTREAM);
    assert_non_null(strstr(s.e.message, "disk full"));
    fake_engine_bytes(s.fake, "POST /images/create", STREAM_HEAD "nonsense\n", sizeof(STREAM_HEAD "nonsense\n") - 1,
                      FAKE_CLOSE);
    assert_int_equal(pull(s.engine, "a", NULL, NULL, NULL, &s.e), -(int)ERR_UPSTREAM);
    fake_engine_json(s.fake, "POST /images/create", 404, "{\"message\":\"manifest unknown\"}");
    assert_int_equal(pull(s.engine, "a", NULL, NULL, NULL, &s.e), -(int)ERR_NOT_FOUND);
    end(&s);
}

static void a_pull_that_stands_still_can_be_stopped(void **state)
{
    static const char start[] = STREAM_HEAD "{\"status\":\"Pulling from a\"}\r\n";
    struct setup s = begin("1.44", "1.52");
    int left = 3;
    fake_engine_bytes(s.fake, "POST /images/create", start, sizeof start - 1, FAKE_HOLD);
    assert_int_equal(s.engine->ops->pull(s.engine, "a", NULL, count_pull, &left, &s.e), -55);
    end(&s);
}

/* ---- events ---- */

struct follower {
    struct container_engine *engine;
    _Atomic bool stop;
    _Atomic int seen;
    int stop_at, result;
    int64_t since_ms;
    struct error e;
};

static int see_event(void *ctx, const struct engine_event *ev)
{
    struct follower *f = ctx;
    assert_string_equal(ev->name, "web");
    return ++f->seen == f->stop_at ? -44 : 0;
}

static void *follow(void *arg)
{
    struct follower *f = arg;
    f->result = f->engine->ops->follow(f->engine, f->since_ms, see_event, f, &f->stop, &f->e);
    return NULL;
}

#define EVENT \
    "{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"aa\",\"Attributes\":{\"name\":\"web\"}},\"time\":5}\n"

static void a_follower_stops_within_half_a_second(void **state)
{
    static const char two[] = STREAM_HEAD EVENT EVENT;
    struct setup s = begin("1.44", "1.52");
    struct follower f = { .engine = s.engine, .since_ms = 1234, .result = 1 };
    pthread_t thread;
    fake_engine_bytes(s.fake, "GET /events", two, sizeof two - 1, FAKE_HOLD);
    assert_int_equal(pthread_create(&thread, NULL, follow, &f), 0);
    for (int64_t from = now_ms(); f.seen < 2 && now_ms() - from < 5000;)
        usleep(1000);
    assert_int_equal(f.seen, 2);
    int64_t from = now_ms();
    f.stop = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(now_ms() - from < 500);
    assert_int_equal(f.result, 0);
    assert_int_equal(
        fake_engine_calls(s.fake, "GET /v1.52/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D&since=1.234"), 1);
    end(&s);
}

static void a_follower_ends_with_the_stream_its_callback_or_the_connection(void **state)
{
    static const char two[] = STREAM_HEAD EVENT EVENT;
    static const char cut[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a";
    struct setup s = begin("1.44", "1.52");
    struct follower f = { .engine = s.engine };
    fake_engine_bytes(s.fake, "GET /events", two, sizeof two - 1, FAKE_CLOSE);
    follow(&f);
    assert_int_equal(f.result, 0);
    assert_int_equal(f.seen, 2);
    f.stop_at = 3;
    follow(&f);
    assert_int_equal(f.result, -44);
    fake_engine_bytes(s.fake, "GET /events", cut, sizeof cut - 1, FAKE_CLOSE);
    follow(&f);
    assert_int_equal(f.result, -(int)ERR_UNAVAILABLE);
    end(&s);
}

/* ---- many callers ---- */

#define CALLERS 16
#define ROUNDS 20

static void *list_often(void *arg)
{
    struct container_engine *g = arg;
    intptr_t good = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct engine_container *all;
        size_t n;
        if (g->ops->list(g, &all, &n, NULL) == 0) {
            good += n == 1;
            engine_containers_free(all, n);
        }
    }
    return (void *)good;
}

static void many_threads_share_an_engine(void **state)
{
    struct setup s = begin("1.44", "1.52");
    pthread_t threads[CALLERS];
    intptr_t good = 0;
    fake_engine_json(s.fake, "GET /containers/json", 200, ONE);
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, list_often, s.engine), 0);
    for (int i = 0; i < CALLERS; i++) {
        void *one;
        assert_int_equal(pthread_join(threads[i], &one), 0);
        good += (intptr_t)one;
    }
    assert_int_equal(good, CALLERS * ROUNDS);
    end(&s);
}

static void more_calls_than_the_limit_are_refused_at_once(void **state)
{
    struct setup s = begin("1.44", "1.52");
    static struct follower all[DOCKER_CALLS_MAX];
    pthread_t threads[DOCKER_CALLS_MAX];
    fake_engine_bytes(s.fake, "GET /events", STREAM_HEAD EVENT, sizeof(STREAM_HEAD EVENT) - 1, FAKE_HOLD);
    int seen = 0;
    for (int i = 0; i < DOCKER_CALLS_MAX; i++) {
        all[i] = (struct follower){ .engine = s.engine };
        assert_int_equal(pthread_create(&threads[i], NULL, follow, &all[i]), 0);
    }
    for (int64_t from = now_ms(); seen < DOCKER_CALLS_MAX && now_ms() - from < 20000;) {
        seen = 0;
        for (int i = 0; i < DOCKER_CALLS_MAX; i++)
            seen += all[i].seen;
        usleep(1000);
    }
    assert_int_equal(seen, DOCKER_CALLS_MAX);
    assert_int_equal(list(&s), -(int)ERR_UNAVAILABLE);
    for (int i = 0; i < DOCKER_CALLS_MAX; i++)
        all[i].stop = true;
    for (int i = 0; i < DOCKER_CALLS_MAX; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    fake_engine_json(s.fake, "GET /containers/json", 200, ONE);
    assert_int_equal(list(&s), 1);
    end(&s);
}

/* ---- an engine that hangs, or goes in the middle ---- */

static int no_bytes(void *ctx UNUSED, const void *bytes UNUSED, size_t len UNUSED)
{
    return 0;
}

static int call_by_number(struct setup *s, int number)
{
    const struct engine_ops *o = s->engine->ops;
    const struct engine_spec spec = { .name = "web", .image = "web" };
    const struct engine_log_request rq = { .want_stdout = true };
    static _Atomic bool never;
    union {
        struct engine_info info;
        struct engine_container container;
        struct engine_stats stats;
        struct engine_image image;
    } u;
    struct engine_container *containers;
    struct engine_volume *volumes;
    struct engine_network *networks;
    json_t *json;
    size_t n;
    char id[65];
    switch (number) {
    case 0: return o->info(s->engine, &u.info, &s->e);
    case 1: return o->list(s->engine, &containers, &n, &s->e);
    case 2: return o->inspect(s->engine, "web", &u.container, &s->e);
    case 3: return o->environment(s->engine, "web", &json, &s->e);
    case 4: return o->create(s->engine, &spec, id, &s->e);
    case 5: return o->start(s->engine, "web", &s->e);
    case 6: return o->stop(s->engine, "web", -1, &s->e);
    case 7: return o->restart(s->engine, "web", 1, &s->e);
    case 8: return o->remove(s->engine, "web", true, &s->e);
    case 9: return o->rename(s->engine, "web", "web2", &s->e);
    case 10: return o->logs(s->engine, "web", &rq, NULL, NULL, &s->e);
    case 11: return o->stats(s->engine, "web", &u.stats, &s->e);
    case 12: return o->image(s->engine, "web", &u.image, &s->e);
    case 13: return o->image_tag(s->engine, "web", "web", "2", &s->e);
    case 14: return o->image_remove(s->engine, "web", &s->e);
    case 15: return o->volume_ensure(s->engine, "web", NULL, &s->e);
    case 16: return o->volume_remove(s->engine, "web", &s->e);
    case 17: return o->volumes(s->engine, &volumes, &n, &s->e);
    case 18: return o->network_ensure(s->engine, "web", false, NULL, &s->e);
    case 19: return o->network_remove(s->engine, "web", &s->e);
    case 20: return o->networks(s->engine, &networks, &n, &s->e);
    case 21: return o->put_file(s->engine, "web", "/a/b", 0400, "x", 1, &s->e);
    case 22: return o->get_archive(s->engine, "web", "/a", no_bytes, NULL, &s->e);
    case 23: return o->follow(s->engine, 0, NULL, NULL, &never, &s->e);
    default: return 1;
    }
}

static struct setup begin_hurried(void)
{
    struct setup s = { .fake = fake_engine_new(NULL, "1.41") };
    const struct docker_target_options to = { .host = fake_engine_host(s.fake), .hurry = 1000 };
    if (docker_engine_make(&to, NULL, &s.engine, &s.e) < 0)
        fail_msg("%s", s.e.message);
    return s;
}

static void each_call_to_an_engine_that_hangs_ends_by_itself(void **state)
{
    static const char *const all[] = {
        "GET /c", "GET /i", "GET /n", "GET /e", "GET /volumes", "POST", "PUT", "DELETE"
    };
    struct setup s = begin_hurried();
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        fake_engine_bytes(s.fake, all[i], "", 0, FAKE_HOLD);
    int number = 0, r;
    for (int64_t at = now_ms(); (r = call_by_number(&s, number)) <= 0; number++, at = now_ms()) {
        if (r != -(int)ERR_UPSTREAM_TIMEOUT || now_ms() - at > 3000)
            fail_msg("call %d: %d %s", number, r, s.e.message);
    }
    assert_int_equal(number, 24);
    assert_int_equal(call_by_number(&s, 8), -(int)ERR_UPSTREAM_TIMEOUT);
    assert_non_null(strstr(s.e.message, "did not answer in time to DELETE /v1.41/containers/web")); /* which one */
    end(&s);
}

static void an_engine_that_goes_in_the_middle_is_away_and_not_done(void **state)
{
    static const char *const all[] = {
        "GET /c", "GET /i", "GET /n", "GET /e", "GET /volumes", "POST", "PUT", "DELETE"
    };
    static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Id\":";
    struct setup s = begin(NULL, "1.41");
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        fake_engine_bytes(s.fake, all[i], half, sizeof half - 1, FAKE_CLOSE);
    for (int number = 0; number < 23; number++) {
        int r = call_by_number(&s, number);
        if (r != -(int)ERR_UNAVAILABLE)
            fail_msg("call %d: %d %s", number, r, s.e.message);
    }
    end(&s);
}

static void a_container_that_cannot_join_all_its_networks_is_not_kept(void **state)
{
    struct setup s = begin(NULL, "1.41");
    _cleanup_json_ json_t *networks = json_pack("[{s:s},{s:s}]", "name", "one", "name", "two");
    const struct engine_spec spec = { .name = "web", .image = "web", .networks = networks };
    char id[65] = "kept";
    fake_engine_json(s.fake, "POST /containers/create", 201, "{\"Id\":\"aa\"}");
    fake_engine_json(s.fake, "POST /networks/two/connect", 500, "{\"message\":\"no address left\"}");
    assert_int_equal(s.engine->ops->create(s.engine, &spec, id, &s.e), -(int)ERR_UPSTREAM);
    assert_non_null(strstr(s.e.message, "no address left"));
    assert_int_equal(fake_engine_calls(s.fake, "DELETE /v1.41/containers/aa"), 1);
    assert_int_equal(fake_engine_calls(s.fake, "POST /v1.41/networks/one/connect"), 0);
    assert_string_equal(id, "kept");
    end(&s);
}

#define MAKERS 12

static void *ensure_network(void *engine)
{
    struct container_engine *g = engine;
    struct error e = ERROR_INIT;
    int r = g->ops->network_ensure(g, "web", false, NULL, &e);
    error_done(&e);
    return (void *)(intptr_t)r;
}

/* This engine would make two of one name: nobody looks for the network between another's look and its making. */
static void a_network_is_looked_for_and_made_by_one_at_a_time(void **state)
{
    struct setup s = begin(NULL, "1.41");
    pthread_t threads[MAKERS];
    void *result;
    fake_engine_json(s.fake, "GET /networks", 200, "[]");
    fake_engine_json(s.fake, "POST /networks/create", 201, "{\"Id\":\"aa\"}");
    for (size_t i = 0; i < MAKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ensure_network, s.engine), 0);
    for (size_t i = 0; i < MAKERS; i++) {
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
    unsigned seen = 0;
    const char *call;
    for (size_t i = 0; (call = fake_engine_call(s.fake, i)); i++)
        if (strstr(call, "/networks"))
            assert_true(str_starts(call, seen++ % 2 ? "POST " : "GET "));
    assert_int_equal(seen, 2 * MAKERS);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(O01_containers_are_listed_through_an_old_and_a_new_engine),
        cmocka_unit_test(O01_an_engine_out_of_range_is_named_with_both_ranges),
        cmocka_unit_test(O01_the_version_is_agreed_again_after_an_upgrade_and_a_downgrade),
        cmocka_unit_test(an_engine_that_only_answers_a_ping_is_understood),
        cmocka_unit_test(the_constructor_does_not_connect_and_checks_the_address),
        cmocka_unit_test(an_engine_that_comes_back_is_used_again),
        cmocka_unit_test(bad_answers_become_the_right_errors),
        cmocka_unit_test(an_answer_has_a_limit),
        cmocka_unit_test(a_slow_engine_is_given_up_at_the_deadline),
        cmocka_unit_test(each_call_to_an_engine_that_hangs_ends_by_itself),
        cmocka_unit_test(an_engine_that_goes_in_the_middle_is_away_and_not_done),
        cmocka_unit_test(a_container_that_cannot_join_all_its_networks_is_not_kept),
        cmocka_unit_test(a_network_is_looked_for_and_made_by_one_at_a_time),
        cmocka_unit_test(a_missing_status_line_has_a_deadline_of_its_own),
        cmocka_unit_test(states_that_are_reached_already_are_success),
        cmocka_unit_test(a_removal_by_another_is_waited_for),
        cmocka_unit_test(bad_names_never_reach_the_engine),
        cmocka_unit_test(creating_hands_over_the_id_and_masks_values),
        cmocka_unit_test(O02_the_terminal_setting_decides_how_a_log_is_read),
        cmocka_unit_test(a_log_in_the_wrong_form_or_of_no_stream_is_an_error),
        cmocka_unit_test(a_quiet_log_that_is_followed_can_be_stopped),
        cmocka_unit_test(a_pull_asks_for_tag_or_digest_and_reports_errors_of_its_stream),
        cmocka_unit_test(a_pull_that_stands_still_can_be_stopped),
        cmocka_unit_test(a_follower_stops_within_half_a_second),
        cmocka_unit_test(a_follower_ends_with_the_stream_its_callback_or_the_connection),
        cmocka_unit_test(many_threads_share_an_engine),
        cmocka_unit_test(more_calls_than_the_limit_are_refused_at_once),
    };
    return cmocka_run_group_tests_name("docker-calls", tests, NULL, NULL);
}
