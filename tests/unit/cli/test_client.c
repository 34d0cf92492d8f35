/* The command line against a hub that answers what the test wants: exit statuses, what is said, which key goes
 * where, deploying with all its races. */
#include "fake_hub.h"
#include "run_cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static int setup(void **state)
{
    (void)state;
    (void)fresh_home();
    return 0;
}

#define CANARY "hbc_canary_of_a_key"

/* Starts a hub, points the command line at it, runs, stops. */
struct trial {
    struct ran ran;
    struct fake_hub *hub;
};

static void trial_begin(struct trial *t, fake_answer answer, void *ctx)
{
    t->hub = fake_hub_start(answer, ctx);
    (void)setenv("HBCLOUD_URL", fake_hub_url(t->hub), 1);
    (void)setenv("HBCLOUD_API_KEY", CANARY, 1);
}

static void trial_end(struct trial *t)
{
    if (t->ran.out && t->ran.err) {
        assert_null(strstr(t->ran.out, CANARY));
        assert_null(strstr(t->ran.err, CANARY));
    }
    fake_hub_stop(t->hub);
    ran_done(&t->ran);
}

static struct trial try_words(const char *words, fake_answer answer, void *ctx)
{
    struct trial t = { 0 };
    trial_begin(&t, answer, ctx);
    t.ran = run_cli(words, NULL);
    return t;
}

/* ---- exit statuses */

struct canned {
    int http;
    const char *code;
    int want;
};

static void answer_canned(void *ctx, FILE *out, const struct fake_request *rq UNUSED, size_t n UNUSED)
{
    const struct canned *c = ctx;
    if (c->http == 200)
        fake_reply(out, 200, "{\"nodes\":[],\"metadata\":{\"total\":0,\"active\":0,\"monitoring_integrated\":0}}");
    else if (c->http)
        fake_error(out, c->http, c->code, "The sentence of the hub.", NULL);
}

static void each_answer_has_its_exit_status(void **state)
{
    (void)state;
    static struct canned cases[] = {
        { 200, NULL, CLI_OK },
        { 400, "VALIDATION_ERROR", CLI_FAILED },
        { 401, "UNAUTHENTICATED", CLI_NOT_ALLOWED },
        { 403, "FORBIDDEN", CLI_NOT_ALLOWED },
        { 404, "NOT_FOUND", CLI_FAILED },
        { 408, "REQUEST_TIMEOUT", CLI_TIMED_OUT },
        { 409, "CONFLICT", CLI_FAILED },
        { 412, "PRECONDITION_FAILED", CLI_FAILED },
        { 429, "RATE_LIMITED", CLI_FAILED },
        { 500, "INTERNAL_ERROR", CLI_FAILED },
        { 503, "SERVICE_UNAVAILABLE", CLI_FAILED },
        { 504, "UPSTREAM_TIMEOUT", CLI_TIMED_OUT },
        { 0, NULL, CLI_UNREACHABLE }, /* the connection is closed without an answer */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct trial t = try_words("nodes list", answer_canned, &cases[i]);
        if (t.ran.status != cases[i].want)
            fail_msg("HTTP %d ended %d: %s", cases[i].http, t.ran.status, t.ran.err);
        if (cases[i].http > 200)
            assert_non_null(strstr(t.ran.err, "hbcloud: The sentence of the hub."));
        trial_end(&t);
    }
}

static void no_hub_ends_3_and_says_how_to_start_one(void **state)
{
    (void)state;
    struct ran r = run_cli("nodes list --url http://127.0.0.1:1", NULL);
    assert_int_equal(r.status, CLI_UNREACHABLE);
    assert_non_null(strstr(r.err, "hbcloud serve"));
    assert_string_equal(r.out, "");
    ran_done(&r);
}

static void answer_details(void *ctx UNUSED, FILE *out, const struct fake_request *rq UNUSED, size_t n UNUSED)
{
    fake_error(out, 400, "VALIDATION_ERROR", "The request does not follow the contract.",
               "{\"/provider\":\"must be one of five\"}");
}

static void an_error_names_each_field_and_json_says_it_unchanged(void **state)
{
    (void)state;
    struct trial t = try_words("nodes add attic", answer_details, NULL);
    assert_int_equal(t.ran.status, CLI_FAILED);
    assert_non_null(strstr(t.ran.err, "  /provider: must be one of five\n"));
    assert_string_equal(t.ran.out, "");
    trial_end(&t);
    t = try_words("nodes add attic --json", answer_details, NULL);
    assert_int_equal(t.ran.status, CLI_FAILED);
    assert_true(str_starts(t.ran.out, "{\"error\":{\"code\":\"VALIDATION_ERROR\""));
    trial_end(&t);
}

/* ---- lists */

#define NODE(name, status)                                                                                                 \
    "{\"id\":\"i\",\"name\":\"" name                                                                                       \
    "\",\"type\":\"hub\",\"provider\":\"local\",\"region\":null,\"labels\":{\"room\":\"attic\"},"                          \
    "\"resources\":{\"cpu\":4,\"memory\":16.5,\"storage\":null,\"bandwidth\":null},\"networking\":{},\"status\":\"" status \
    "\","                                                                                                                  \
    "\"monitoring\":{\"uptime\":99.95},\"metadata\":{\"lastSeen\":null}}"
#define COUNTS "\"metadata\":{\"total\":2,\"active\":1,\"monitoring_integrated\":0}"

static void answer_pages(void *ctx UNUSED, FILE *out, const struct fake_request *rq, size_t n UNUSED)
{
    if (strstr(rq->path, "cursor=abc"))
        fake_reply(out, 200, "{\"nodes\":[" NODE("cellar", "offline") "]," COUNTS "}");
    else
        fake_reply(out, 200, "{ \"nodes\": [" NODE("attic", "active") "], " COUNTS ", \"next\": \"abc\" }");
}

static void a_list_reads_all_pages_and_is_a_table(void **state)
{
    (void)state;
    struct trial t = try_words("nodes list --provider local --label room=attic", answer_pages, NULL);
    assert_int_equal(t.ran.status, CLI_OK);
    assert_non_null(strstr(t.ran.out, "NAME "));
    assert_non_null(strstr(t.ran.out, "\nattic "));
    assert_non_null(strstr(t.ran.out, "\ncellar "));
    assert_non_null(strstr(t.ran.out, "16.5 GB"));
    assert_non_null(strstr(t.ran.out, "2 nodes, 1 active\n"));
    assert_null(strchr(t.ran.out, '\033'));
    assert_int_equal(fake_hub_count(t.hub), 2);
    const struct fake_request *rq = fake_hub_request(t.hub, 0);
    assert_non_null(rq);
    assert_string_equal(rq->path, "/v1/infrastructure/nodes?provider=local&label=room%3Dattic&limit=1000");
    assert_string_equal(rq->api_key, CANARY);
    trial_end(&t);
}

static void json_prints_one_page_unchanged(void **state)
{
    (void)state;
    struct trial t = try_words("nodes list --json --limit 5", answer_pages, NULL);
    assert_int_equal(t.ran.status, CLI_OK);
    assert_string_equal(t.ran.out, "{ \"nodes\": [" NODE("attic", "active") "], " COUNTS ", \"next\": \"abc\" }\n");
    assert_int_equal(fake_hub_count(t.hub), 1);
    trial_end(&t);
}

static void a_limit_ends_the_list_and_says_that_there_is_more(void **state)
{
    (void)state;
    struct trial t = try_words("nodes list --limit 1", answer_pages, NULL);
    assert_int_equal(t.ran.status, CLI_OK);
    assert_null(strstr(t.ran.out, "cellar"));
    assert_non_null(strstr(t.ran.out, "There is more"));
    trial_end(&t);
}

static void names_are_encoded_and_cannot_leave_their_place(void **state)
{
    (void)state;
    static struct canned not_found = { 404, "NOT_FOUND", 1 };
    static const char *const cases[][2] = {
        { "nodes show ..", "/v1/infrastructure/nodes/%2E%2E" },
        { "nodes show a/b?c", "/v1/infrastructure/nodes/a%2Fb%3Fc" },
        { "services logs h\xc3\xa9", "/v1/services/h%C3%A9/logs" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct trial t = try_words(cases[i][0], answer_canned, &not_found);
        const struct fake_request *rq = fake_hub_request(t.hub, 0);
        assert_non_null(rq);
        assert_string_equal(rq->path, cases[i][1]);
        trial_end(&t);
    }
}

/* ---- which key goes where */

static void answer_system(void *ctx, FILE *out, const struct fake_request *rq, size_t n UNUSED)
{
    const char *good = ctx;
    if (good && !str_eq(rq->api_key, good))
        fake_error(out, 401, "UNAUTHENTICATED", "This key is not good.", NULL);
    else
        fake_reply(out, 200, "{\"system\":{\"version\":\"1\"}}");
}

static void put_file(const char *path, const char *text)
{
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600), 0);
}

static void owner_keys_are_tried_in_turn_on_this_machine_alone(void **state)
{
    (void)state;
    struct trial t = { 0 };
    trial_begin(&t, answer_system, (void *)(uintptr_t)"right");
    (void)unsetenv("HBCLOUD_API_KEY");
    assert_int_equal(mkdir("other", 0700), 0);
    assert_int_equal(mkdir(".hbcloud", 0700), 0);
    put_file("other/owner.key", "of-another-hub\n");
    put_file(".hbcloud/owner.key", "right\n");
    (void)setenv("HBCLOUD_DATA", "other", 1);
    t.ran = run_cli("status --json", NULL);
    assert_int_equal(t.ran.status, CLI_OK);
    const struct fake_request *first = fake_hub_request(t.hub, 0), *second = fake_hub_request(t.hub, 1);
    assert_non_null(second);
    assert_string_equal(first->api_key, "of-another-hub");
    assert_string_equal(second->api_key, "right");
    trial_end(&t);
    /* 0.0.0.0 reaches this machine too, but a name that is not loopback gets no owner.key. */
    t = (struct trial){ 0 };
    trial_begin(&t, answer_system, NULL);
    (void)unsetenv("HBCLOUD_API_KEY");
    char words[128];
    (void)snprintf(words, sizeof words, "status --json --url http://0.0.0.0%s", strrchr(fake_hub_url(t.hub), ':'));
    t.ran = run_cli(words, NULL);
    first = fake_hub_request(t.hub, 0);
    assert_non_null(first);
    assert_string_equal(first->api_key, "");
    trial_end(&t);
}

static void a_login_is_tried_then_kept_for_its_hub_alone(void **state)
{
    (void)state;
    struct stat st;
    char words[200];
    struct trial t = { 0 };
    trial_begin(&t, answer_system, (void *)(uintptr_t)"good-key");
    (void)unsetenv("HBCLOUD_API_KEY");
    (void)unsetenv("HBCLOUD_URL");
    (void)snprintf(words, sizeof words, "login --url %s", fake_hub_url(t.hub));
    t.ran = run_cli(words, "bad-key\n");
    assert_int_equal(t.ran.status, CLI_NOT_ALLOWED);
    assert_int_not_equal(stat(".config/hbcloud/config.yaml", &st), 0);
    ran_done(&t.ran);
    (void)unsetenv("HBCLOUD_URL");
    t.ran = run_cli(words, "good-key\n");
    assert_int_equal(t.ran.status, CLI_OK);
    assert_null(strstr(t.ran.out, "good-key"));
    assert_int_equal(stat(".config/hbcloud/config.yaml", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    ran_done(&t.ran);
    (void)unsetenv("HBCLOUD_URL");
    size_t before = fake_hub_count(t.hub);
    t.ran = run_cli("status --json", NULL); /* address and key from the login */
    assert_int_equal(t.ran.status, CLI_OK);
    assert_string_equal(fake_hub_request(t.hub, before)->api_key, "good-key");
    ran_done(&t.ran);
    (void)snprintf(words, sizeof words, "status --json --url http://localhost%s", strrchr(fake_hub_url(t.hub), ':'));
    before = fake_hub_count(t.hub);
    t.ran = run_cli(words, NULL); /* another address: the key stays */
    const struct fake_request *rq = fake_hub_request(t.hub, before);
    if (rq)
        assert_string_equal(rq->api_key, "");
    trial_end(&t);
}

static void a_token_goes_as_a_bearer(void **state)
{
    (void)state;
    struct trial t = { 0 };
    trial_begin(&t, answer_system, NULL);
    (void)setenv("HBCLOUD_API_KEY", "eyJh.eyJz.c2ln", 1);
    t.ran = run_cli("status --json", NULL);
    assert_string_equal(fake_hub_request(t.hub, 0)->authorization, "Bearer eyJh.eyJz.c2ln");
    assert_string_equal(fake_hub_request(t.hub, 0)->api_key, "");
    trial_end(&t);
}

/* ---- deploying */

#define STARTED "{\"deployment_id\":\"d-1\",\"service_instance\":{\"name\":\"hello\"},\"monitoring_setup\":{}}"
#define SERVICE                                                                                                                          \
    "{\"service\":{\"id\":\"s\",\"name\":\"hello\",\"labels\":{},\"container\":{\"environment\":[\"OLD\"],\"ports\":[],\"volumes\":[]}," \
    "\"networking\":{\"domains\":[],\"url\":\"http://127.0.0.1:32768\",\"healthCheck\":null}}}"

static void reply_deployment(FILE *out, const char *state, int progress, const char *message)
{
    char json[1024];
    (void)snprintf(
        json, sizeof json,
        "{\"deployment\":{\"id\":\"d-1\",\"serviceName\":\"hello\",\"status\":{\"state\":\"%s\",\"progress\":%d,"
        "\"message\":\"%s\",\"logs\":[],\"step\":null},\"timing\":{\"phases\":[{\"name\":\"pull\",\"duration\":3000,"
        "\"status\":\"success\"}]}}}",
        state, progress, message);
    fake_reply(out, 200, json);
}

struct deploying {
    bool exists, raced, made;
    const char *end, *message;
    int asked;
};

static void answer_deploying(void *ctx, FILE *out, const struct fake_request *rq, size_t n UNUSED)
{
    struct deploying *d = ctx;
    bool made = d->exists || d->made;
    if (str_starts(rq->path, "/v1/deployments/")) {
        if (d->asked++ == 0)
            reply_deployment(out, "building", 30, "pulling");
        else if (d->asked == 2)
            return; /* the hub is away for a moment */
        else
            reply_deployment(out, d->end, 100, d->message);
    } else if (str_eq(rq->method, "GET") && made) {
        fake_reply(out, 200, SERVICE);
    } else if (str_eq(rq->method, "POST") && d->raced) {
        d->exists = true;
        fake_error(out, 409, "CONFLICT", "There is a service hello.", NULL);
    } else if (str_eq(rq->method, "POST")) {
        d->made = true;
        fake_reply(out, 201, STARTED);
    } else if (str_eq(rq->method, "PATCH")) {
        fake_reply(out, 200, STARTED);
    } else {
        fake_error(out, 404, "NOT_FOUND", "There is no such service.", NULL);
    }
}

static void put_service_file(void)
{
    put_file("service.yaml", "name: hello\ncontainer:\n  image: nginx:1.27\n  environment:\n    NEW: \"1\"\n"
                             "networking:\n  internalPort: 80\n");
}

static void a_new_service_is_posted_once_and_followed_to_its_end(void **state)
{
    (void)state;
    put_service_file();
    struct deploying d = { .end = "completed", .message = "hello serves." };
    struct trial t = try_words("services deploy -f service.yaml", answer_deploying, &d);
    assert_int_equal(t.ran.status, CLI_OK);
    assert_string_equal(t.ran.out, "hello serves at http://127.0.0.1:32768\n");
    assert_non_null(strstr(t.ran.err, "ok pull         3.0 s\n"));
    const struct fake_request *rq = fake_hub_request(t.hub, 1);
    assert_non_null(rq);
    assert_string_equal(rq->method, "POST");
    assert_int_equal(strlen(rq->idempotency_key), 36);
    assert_string_equal(rq->body,
                        "{\"name\":\"hello\",\"container\":{\"image\":\"nginx:1.27\",\"environment\":{\"NEW\":\"1\"}},"
                        "\"networking\":{\"internalPort\":80}}");
    trial_end(&t);
}

static void a_service_that_exists_is_patched_with_the_whole_file(void **state)
{
    (void)state;
    put_service_file();
    struct deploying d = { .exists = true, .end = "completed", .message = "hello serves." };
    struct trial t = try_words("services deploy -f service.yaml", answer_deploying, &d);
    assert_int_equal(t.ran.status, CLI_OK);
    const struct fake_request *rq = fake_hub_request(t.hub, 1);
    assert_non_null(rq);
    assert_string_equal(rq->method, "PATCH");
    assert_string_equal(rq->path, "/v1/services/hello?whole=true"); /* the hub takes away what the file dropped */
    _cleanup_json_ json_t *patch = json_loads(rq->body, 0, NULL);
    assert_string_equal(json_str(patch, "container.environment.NEW"), "1");
    assert_null(json_at(patch, "name"));
    trial_end(&t);
}

static void a_name_taken_meanwhile_becomes_a_patch(void **state)
{
    (void)state;
    put_service_file();
    struct deploying d = { .raced = true, .end = "completed", .message = "hello serves." };
    struct trial t = try_words("services deploy -f service.yaml", answer_deploying, &d);
    assert_int_equal(t.ran.status, CLI_OK);
    assert_string_equal(fake_hub_request(t.hub, 1)->method, "POST");
    assert_string_equal(fake_hub_request(t.hub, 3)->method, "PATCH");
    assert_null(strstr(t.ran.err, "There is a service"));
    trial_end(&t);
}

static void a_failed_deployment_ends_1_with_its_cause(void **state)
{
    (void)state;
    static const char *const ends[] = { "failed", "rolled_back" };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct deploying d = { .end = ends[i], .message = "The image is not there." };
        struct trial t = try_words("services deploy hello --image nginx:0 --port 80", answer_deploying, &d);
        assert_int_equal(t.ran.status, CLI_FAILED);
        assert_non_null(strstr(t.ran.err, "The image is not there."));
        assert_string_equal(t.ran.out, "");
        trial_end(&t);
    }
}

static void no_wait_prints_the_deployment_alone(void **state)
{
    (void)state;
    struct deploying d = { .end = "completed" };
    struct trial t =
        try_words("services deploy hello --image nginx --port 80 -e A=1 -e B= --volume data:/d:ro --no-wait",
                  answer_deploying, &d);
    assert_int_equal(t.ran.status, CLI_OK);
    assert_string_equal(t.ran.out, "d-1\n");
    assert_int_equal(d.asked, 0);
    _cleanup_json_ json_t *body = json_loads(fake_hub_request(t.hub, 1)->body, 0, NULL);
    assert_string_equal(json_str(body, "container.environment.A"), "1");
    assert_string_equal(json_str(body, "container.environment.B"), "");
    assert_true(json_is_true(json_object_get(json_array_get(json_at(body, "container.volumes"), 0), "readonly")));
    trial_end(&t);
}

static void json_prints_the_end_of_the_deployment(void **state)
{
    (void)state;
    struct deploying d = { .end = "completed", .message = "done" };
    struct trial t = try_words("services deploy hello --image nginx --port 80 --json", answer_deploying, &d);
    assert_int_equal(t.ran.status, CLI_OK);
    _cleanup_json_ json_t *doc = json_loads(t.ran.out, 0, NULL);
    assert_string_equal(json_str(doc, "deployment.status.state"), "completed");
    trial_end(&t);
}

static void answer_never_ending(void *ctx UNUSED, FILE *out, const struct fake_request *rq UNUSED, size_t n UNUSED)
{
    reply_deployment(out, "building", 30, "pulling");
}

static void a_deployment_that_takes_too_long_ends_5_and_goes_on(void **state)
{
    (void)state;
    struct trial t = try_words("deployments watch d-1 --timeout 50ms", answer_never_ending, NULL);
    assert_int_equal(t.ran.status, CLI_TIMED_OUT);
    assert_non_null(strstr(t.ran.err, "the deployment goes on: `hbcloud deployments watch d-1`"));
    trial_end(&t);
}

static void a_file_that_is_wrong_is_named(void **state)
{
    (void)state;
    put_file("bad.yaml", "name: hello\nname: again\n");
    put_file("list.yaml", "- hello\n");
    static const char *const cases[][2] = {
        { "services deploy -f bad.yaml", "bad.yaml: line 2" },
        { "services deploy -f list.yaml", "a service begins with 'name:'" },
        { "services deploy -f none.yaml", "none.yaml cannot be read" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ran r = run_cli(cases[i][0], NULL);
        assert_int_equal(r.status, CLI_FAILED);
        assert_non_null(strstr(r.err, cases[i][1]));
        ran_done(&r);
    }
}

/* ---- the rest */

static void answer_logs(void *ctx UNUSED, FILE *out, const struct fake_request *rq UNUSED, size_t n UNUSED)
{
    (void)fputs("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nConnection: close\r\n\r\n", out);
    (void)fwrite("a\0\xff\nb\n", 1, 6, out);
}

static void logs_are_the_exact_bytes(void **state)
{
    (void)state;
    struct trial t = try_words("services logs hello --tail 5", answer_logs, NULL);
    assert_int_equal(t.ran.status, CLI_OK);
    assert_memory_equal(t.ran.out, "a\0\xff\nb\n", 7);
    assert_string_equal(fake_hub_request(t.hub, 0)->accept, "text/plain");
    assert_string_equal(fake_hub_request(t.hub, 0)->path, "/v1/services/hello/logs?tail=5");
    trial_end(&t);
}

/* Each reply overlaps the one before; a line that came twice at the same time is two lines. Then the service goes. */
static void answer_growing_log(void *ctx UNUSED, FILE *out, const struct fake_request *rq UNUSED, size_t n)
{
    static const char *const lines[] = { "2026-11-25T12:00:00.000000001Z one\n", "2026-11-25T12:00:00.000000002Z two\n",
                                         "2026-11-25T12:00:00.000000002Z two\n",
                                         "2026-11-25T12:00:01.000000000Z three\n" };
    static const size_t from[] = { 0, 1 }, to[] = { 2, 4 };
    if (n > 1) {
        fake_error(out, 404, "NOT_FOUND", "The service is gone.", NULL);
        return;
    }
    char text[256] = "";
    for (size_t i = from[n]; i < to[n]; i++)
        strcat(text, lines[i]);
    (void)fprintf(out,
                  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                  strlen(text), text);
}

static void following_logs_shows_each_line_once(void **state)
{
    (void)state;
    struct trial t = try_words("services logs hello -f", answer_growing_log, NULL);
    assert_int_equal(t.ran.status, CLI_FAILED);
    assert_string_equal(t.ran.out, "one\ntwo\ntwo\nthree\n");
    assert_non_null(strstr(t.ran.err, "The service is gone."));
    assert_non_null(strstr(fake_hub_request(t.hub, 1)->path, "since=2026-11-25T12%3A00%3A00.000000002Z"));
    trial_end(&t);
}

/* Two connections with one event each, then a refusal that ends the command. */
static void answer_events(void *ctx UNUSED, FILE *out, const struct fake_request *rq UNUSED, size_t n)
{
    if (n > 1) {
        fake_error(out, 403, "FORBIDDEN", "Enough.", NULL);
        return;
    }
    (void)fprintf(out,
                  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
                  "id: %zu\nevent: node.updated\ndata: {\"type\":\"node.updated\",\"n\":%zu}\n\n",
                  n + 7, n);
}

static void events_go_on_behind_the_last_one_seen(void **state)
{
    (void)state;
    struct trial t = try_words("events --types node.* --json", answer_events, NULL);
    assert_int_equal(t.ran.status, CLI_NOT_ALLOWED);
    assert_true(str_starts(t.ran.out, "{\"type\":\"node.updated\",\"n\":0}\n{\"type\":\"node.updated\",\"n\":1}\n"));
    assert_string_equal(fake_hub_request(t.hub, 0)->last_event_id, "");
    assert_string_equal(fake_hub_request(t.hub, 1)->last_event_id, "7");
    assert_string_equal(fake_hub_request(t.hub, 2)->last_event_id, "8");
    assert_string_equal(fake_hub_request(t.hub, 0)->path, "/v1/events?types=node.%2A");
    trial_end(&t);
}

static void answer_verify(void *ctx UNUSED, FILE *out, const struct fake_request *rq UNUSED, size_t n UNUSED)
{
    fake_reply(out, 200,
               "{\"ok\":false,\"checked\":3,\"firstBad\":2,\"reason\":\"its hash is another\",\"head\":\"00\"}");
}

static void a_broken_audit_ends_1(void **state)
{
    (void)state;
    struct trial t = try_words("audit verify", answer_verify, NULL);
    assert_int_equal(t.ran.status, CLI_FAILED);
    assert_non_null(strstr(t.ran.err, "entry 2: its hash is another"));
    trial_end(&t);
    t = try_words("audit verify --json", answer_verify, NULL);
    assert_int_equal(t.ran.status, CLI_FAILED);
    trial_end(&t);
}

static void answer_query(void *ctx UNUSED, FILE *out, const struct fake_request *rq, size_t n UNUSED)
{
    if (str_starts(rq->path, "/v1/services?"))
        fake_reply(out, 200, "{\"services\":[]}");
    else if (str_starts(rq->path, "/v1/infrastructure/nodes?"))
        fake_reply(out, 200, "{\"nodes\":[" NODE("attic", "active") "]}");
    else if (str_starts(rq->path, "/v1/infrastructure/nodes/attic"))
        fake_reply(out, 200, "{\"node\":" NODE("attic", "active") "}");
    else
        fake_reply(
            out, 200,
            "{\"name\":\"cpu\",\"fn\":\"max\",\"step\":30,\"from\":0,\"to\":90000,\"unit\":\"percent\",\"series\":[{"
            "\"entity_id\":\"i\",\"entity_type\":\"node\",\"tags\":{},\"points\":[[30000,1],[60000,null],[90000,3]]}]}");
}

static void a_query_finds_the_entity_by_name_and_shows_a_chart(void **state)
{
    (void)state;
    struct trial t = try_words("metrics query cpu --node attic --fn max", answer_query, NULL);
    assert_int_equal(t.ran.status, CLI_OK);
    assert_string_equal(fake_hub_request(t.hub, 1)->path, "/v1/monitoring/query?name=cpu&fn=max&entity_id=i");
    assert_non_null(strstr(t.ran.out, "\nattic "));
    assert_non_null(strstr(t.ran.out, "_ #"));
    trial_end(&t);
}

static void names_are_completed_by_the_hub(void **state)
{
    (void)state;
    struct trial t = try_words("__complete nodes show at", answer_pages, NULL);
    assert_string_equal(t.ran.out, "attic\tactive\n");
    trial_end(&t);
}

static void removing_wants_a_yes(void **state)
{
    (void)state;
    struct deploying d = { .exists = true };
    struct trial t = try_words("services remove hello", answer_deploying, &d);
    assert_int_equal(t.ran.status, CLI_USAGE);
    assert_int_equal(fake_hub_count(t.hub), 1); /* the name was read, nothing removed */
    trial_end(&t);
    t = try_words("services remove s --yes --volume data", answer_deploying, &d);
    assert_string_equal(fake_hub_request(t.hub, 1)->method, "DELETE");
    assert_string_equal(fake_hub_request(t.hub, 1)->path, "/v1/services/s?confirm=hello&volumes=data");
    trial_end(&t);
}

#define CASE(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_answer_has_its_exit_status),
        CASE(no_hub_ends_3_and_says_how_to_start_one),
        CASE(an_error_names_each_field_and_json_says_it_unchanged),
        CASE(a_list_reads_all_pages_and_is_a_table),
        CASE(json_prints_one_page_unchanged),
        CASE(a_limit_ends_the_list_and_says_that_there_is_more),
        CASE(names_are_encoded_and_cannot_leave_their_place),
        CASE(owner_keys_are_tried_in_turn_on_this_machine_alone),
        CASE(a_login_is_tried_then_kept_for_its_hub_alone),
        CASE(a_token_goes_as_a_bearer),
        CASE(a_new_service_is_posted_once_and_followed_to_its_end),
        CASE(a_service_that_exists_is_patched_with_the_whole_file),
        CASE(a_name_taken_meanwhile_becomes_a_patch),
        CASE(a_failed_deployment_ends_1_with_its_cause),
        CASE(no_wait_prints_the_deployment_alone),
        CASE(json_prints_the_end_of_the_deployment),
        CASE(a_deployment_that_takes_too_long_ends_5_and_goes_on),
        CASE(a_file_that_is_wrong_is_named),
        CASE(logs_are_the_exact_bytes),
        CASE(following_logs_shows_each_line_once),
        CASE(events_go_on_behind_the_last_one_seen),
        CASE(a_broken_audit_ends_1),
        CASE(a_query_finds_the_entity_by_name_and_shows_a_chart),
        CASE(names_are_completed_by_the_hub),
        CASE(removing_wants_a_yes),
    };
    return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
