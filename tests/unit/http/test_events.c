/* The event bus: frames, resuming, filters, who may see what, who is too slow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fake_exchange.h"

#include "http/events.h"
#include "http/events_internal.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"

#include <stdio.h>

static const char contract[] =
    "paths:\n"
    "  /v1/events:\n"
    "    get:\n"
    "      operationId: streamEvents\n"
    "      x-role: viewer\n"
    "      x-stream: true\n"
    "      parameters:\n"
    "        - { name: Last-Event-ID, in: header, schema: { type: string } }\n"
    "        - { name: types, in: query, x-comma-separated: true, schema: { type: array, items: { type: string } } }\n"
    "      responses: { '200': { description: ok, content: { text/event-stream: { schema: { type: string } } } } }\n";

static struct events *bus;
static struct api *api;
static struct actor who;
static int64_t now;

static int authenticate(void *ctx, struct request *rq, struct actor *ret, struct error *e)
{
    *ret = who;
    return 0;
}

static int64_t fake_now(void *ctx)
{
    return now;
}

static const struct api_operation rows[] = { { "streamEvents", events_subscribe } };

static int start(void **state)
{
    static const struct clock clock = { fake_now, fake_now, NULL };
    struct error e = ERROR_INIT;
    struct api_options o = { .contract_yaml = contract,
                             .contract_len = sizeof contract - 1,
                             .hooks = { .authenticate = authenticate } };
    now = 1764079200000;
    clock_set(&clock);
    who = (struct actor){ .role = ROLE_VIEWER };
    bus = events_new();
    if (!bus || api_new(&o, &api, &e) < 0 || api_add(api, rows, 1, bus, &e) < 0 || api_seal(api, &e) < 0)
        return -1;
    return 0;
}

static int end(void **state)
{
    events_free(bus);
    api_free(api);
    clock_set(NULL);
    return 0;
}

static void publish(const char *type, const char *id)
{
    events_publish(bus, type, strncmp(type, "key", 3) == 0 ? "key" : "node", id, "{\"a\":\n1}", 8);
}

static void subscribe(const char *line, const char *headers, struct fake_reply *ret)
{
    fake_send(api, line, headers, NULL, ret);
    assert_int_equal(ret->status, 200);
    assert_non_null(ret->stream);
}

/* How many frames of this type have come. */
static unsigned count_of(const struct fake_reply *r, const char *type)
{
    char line[80];
    unsigned n = 0;
    (void)snprintf(line, sizeof line, "\nevent: %s\n", type);
    for (const char *at = fake_stream_text(r->stream); (at = strstr(at, line)); at++)
        n++;
    return n;
}

/* The id of the last frame so far. */
static const char *last_id(const struct fake_reply *r, char ret[80])
{
    const char *text = fake_stream_text(r->stream), *found = NULL;
    for (const char *at = text; (at = strstr(at, "id: ")); at++)
        if (at == text || at[-1] == '\n')
            found = at + 4;
    assert_non_null(found);
    str_copy(ret, 80, found);
    ret[strcspn(ret, "\n")] = '\0';
    return ret;
}

static void frames_are_whole_events(void **state)
{
    struct fake_reply r;
    subscribe("GET /v1/events", NULL, &r);
    assert_string_equal(fake_header(&r, "Content-Type"), "text/event-stream");
    assert_string_equal(fake_header(&r, "X-Accel-Buffering"), "no");
    assert_non_null(strstr(fake_header(&r, "Cache-Control"), "no-store"));
    assert_null(fake_header(&r, "Content-Encoding"));
    assert_non_null(fake_header(&r, "X-Request-Id"));
    assert_true(str_starts(fake_stream_text(r.stream), "retry: 3000\nid: "));
    assert_int_equal(count_of(&r, "hello"), 1);
    fake_stream_clear(r.stream);
    publish("node.updated", "n1");
    const char *text = fake_stream_text(r.stream), *data = strstr(text, "data: ");
    assert_true(str_starts(text, "id: "));
    assert_non_null(strstr(text, "\nevent: node.updated\n"));
    _cleanup_json_ json_t *event = NULL;
    size_t len = strcspn(data + 6, "\n");
    assert_string_equal(data + 6 + len, "\n\n");
    assert_int_equal(json_parse(data + 6, len, &event, NULL), 0);
    assert_string_equal(json_str(event, "type"), "node.updated");
    assert_string_equal(json_str(event, "entityId"), "n1");
    assert_int_equal(json_int(event, "data.a", 0), 1);
    assert_int_equal(events_subscribers(bus), 1);
    fake_reply_done(&r);
    assert_int_equal(events_subscribers(bus), 0);
}

static void O27_resume_loses_and_repeats_nothing(void **state)
{
    struct fake_reply r;
    char id[80], header[128], name[16];
    subscribe("GET /v1/events", NULL, &r);
    (void)snprintf(header, sizeof header, "Last-Event-ID: %s\n", last_id(&r, id));
    fake_reply_done(&r);
    for (int i = 0; i < 10; i++) {
        (void)snprintf(name, sizeof name, "n%d", i);
        publish("node.updated", name);
    }
    /* From the hello's id: all ten. From the fourth's: the six after it, each once, in order. */
    subscribe("GET /v1/events", header, &r);
    assert_int_equal(count_of(&r, "node.updated"), 10);
    assert_int_equal(count_of(&r, "reset"), 0);
    const char *fourth = strstr(fake_stream_text(r.stream), "\"entityId\":\"n3\"");
    assert_non_null(fourth);
    while (strncmp(fourth, "\nid: ", 5) != 0)
        fourth--;
    (void)snprintf(header, sizeof header, "Last-Event-ID: %.*s\n", (int)strcspn(fourth + 5, "\n"), fourth + 5);
    fake_reply_done(&r);
    subscribe("GET /v1/events", header, &r);
    assert_int_equal(count_of(&r, "node.updated"), 6);
    const char *at = fake_stream_text(r.stream);
    for (int i = 4; i < 10; i++) {
        (void)snprintf(name, sizeof name, "\"n%d\"", i);
        at = strstr(at, name);
        assert_non_null(at);
    }
    fake_reply_done(&r);
}

static void a_gap_is_one_reset(void **state)
{
    static const char *const ids[] = { "Last-Event-ID: 0123456789abcdef-1\n", "Last-Event-ID: 12\n",
                                       "Last-Event-ID: x\n" };
    struct fake_reply r;
    char id[80], header[128];
    publish("node.updated", "n1");
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        subscribe("GET /v1/events", ids[i], &r);
        assert_int_equal(count_of(&r, "reset"), 1);
        assert_int_equal(count_of(&r, "node.updated"), 0);
        (void)last_id(&r, id);
        fake_reply_done(&r);
    }
    /* After the reset the stream resumes from there. */
    (void)snprintf(header, sizeof header, "Last-Event-ID: %s\n", id);
    publish("node.updated", "n2");
    subscribe("GET /v1/events", header, &r);
    assert_int_equal(count_of(&r, "reset"), 0);
    assert_int_equal(count_of(&r, "node.updated"), 1);
    fake_reply_done(&r);
    /* More than the ring holds has passed. */
    for (int i = 0; i < 4097; i++)
        publish("node.updated", "n3");
    subscribe("GET /v1/events", header, &r);
    assert_int_equal(count_of(&r, "reset"), 1);
    assert_int_equal(count_of(&r, "node.updated"), 0);
    fake_reply_done(&r);
}

static void filters_by_type(void **state)
{
    struct fake_reply one, all, group;
    subscribe("GET /v1/events?types=node.created,node.deleted", NULL, &one);
    subscribe("GET /v1/events", NULL, &all);
    subscribe("GET /v1/events?types=service.*", NULL, &group);
    publish("node.created", "n1");
    publish("node.updated", "n1");
    publish("service.updated", "s1");
    assert_int_equal(count_of(&one, "node.created"), 1);
    assert_int_equal(count_of(&one, "node.updated") + count_of(&one, "service.updated"), 0);
    assert_int_equal(count_of(&group, "service.updated"), 1);
    assert_int_equal(count_of(&group, "node.updated"), 0);
    assert_int_equal(count_of(&all, "node.updated") + count_of(&all, "service.updated"), 2);
    fake_reply_done(&one);
    fake_reply_done(&all);
    fake_reply_done(&group);
}

static void keys_are_for_admins(void **state)
{
    struct fake_reply viewer, admin, later;
    char id[80], header[128];
    subscribe("GET /v1/events", NULL, &viewer);
    (void)snprintf(header, sizeof header, "Last-Event-ID: %s\n", last_id(&viewer, id));
    who.role = ROLE_ADMIN;
    subscribe("GET /v1/events", NULL, &admin);
    publish("key.created", "k1");
    assert_int_equal(count_of(&viewer, "key.created"), 0);
    assert_int_equal(count_of(&admin, "key.created"), 1);
    who.role = ROLE_VIEWER;
    subscribe("GET /v1/events", header, &later);
    assert_int_equal(count_of(&later, "key.created"), 0);
    fake_reply_done(&viewer);
    fake_reply_done(&admin);
    fake_reply_done(&later);
}

static void beats_and_ends_what_has_expired(void **state)
{
    struct fake_reply r;
    who.expires_ms = now + 1000;
    subscribe("GET /v1/events", NULL, &r);
    fake_stream_clear(r.stream);
    events_beat(bus);
    assert_int_equal(fake_stream_text(r.stream)[0], ':');
    assert_false(fake_stream_closed(r.stream));
    now += 1000;
    events_beat(bus);
    assert_true(fake_stream_closed(r.stream));
    fake_reply_done(&r);
}

static void revoked_credentials_end_their_streams(void **state)
{
    struct fake_reply mine, other;
    str_copy(who.id, sizeof who.id, "key-1");
    subscribe("GET /v1/events", NULL, &mine);
    str_copy(who.id, sizeof who.id, "key-2");
    subscribe("GET /v1/events", NULL, &other);
    events_end(bus, "key-1");
    assert_true(fake_stream_closed(mine.stream));
    assert_false(fake_stream_closed(other.stream));
    fake_reply_done(&mine);
    fake_reply_done(&other);
}

static void the_slow_are_closed_and_the_rest_go_on(void **state)
{
    struct fake_reply slow, quick;
    subscribe("GET /v1/events", NULL, &slow);
    subscribe("GET /v1/events", NULL, &quick);
    for (int i = 0; i < 4000 && !fake_stream_closed(slow.stream); i++) {
        publish("node.updated", "n1");
        fake_stream_clear(quick.stream);
    }
    assert_true(fake_stream_closed(slow.stream));
    assert_false(fake_stream_closed(quick.stream));
    fake_reply_done(&slow);
    events_beat(bus);
    publish("node.updated", "last");
    assert_non_null(strstr(fake_stream_text(quick.stream), "\"last\""));
    fake_reply_done(&quick);
}

/* What is missed is more than a stream may hold unsent: saying so beats a stream that is closed as too slow. */
static void too_much_to_resume_is_a_reset(void **state)
{
    struct fake_reply r;
    char id[80], header[128];
    static char data[4096];
    subscribe("GET /v1/events", NULL, &r);
    (void)snprintf(header, sizeof header, "Last-Event-ID: %s\n", last_id(&r, id));
    fake_reply_done(&r);
    (void)snprintf(data, sizeof data, "{\"x\":\"%*s\"}", 3000, "");
    for (int i = 0; i < 100; i++)
        events_publish(bus, "node.updated", "node", "n", data, strlen(data));
    subscribe("GET /v1/events", header, &r);
    assert_int_equal(count_of(&r, "reset"), 1);
    assert_false(fake_stream_closed(r.stream));
    fake_reply_done(&r);
}

static void head_begins_no_stream(void **state)
{
    struct fake_reply r;
    fake_send(api, "HEAD /v1/events", NULL, NULL, &r);
    assert_int_equal(r.status, 200);
    assert_null(r.stream);
    assert_string_equal(fake_header(&r, "Content-Type"), "text/event-stream");
    assert_int_equal(events_subscribers(bus), 0);
    fake_reply_done(&r);
}

static void hear(void *ctx, const char *type, const char *entity_id, const char *data, size_t len)
{
    (void)snprintf(ctx, 64, "%s %s %zu", type, entity_id, len);
}

static void listeners_hear_each(void **state)
{
    char heard[64] = "";
    assert_int_equal(events_listen(bus, hear, heard), 0);
    publish("node.updated", "n1");
    assert_string_equal(heard, "node.updated n1 8");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, end)
    const struct CMUnitTest tests[] = {
        T(frames_are_whole_events),
        T(O27_resume_loses_and_repeats_nothing),
        T(a_gap_is_one_reset),
        T(filters_by_type),
        T(keys_are_for_admins),
        T(beats_and_ends_what_has_expired),
        T(revoked_credentials_end_their_streams),
        T(the_slow_are_closed_and_the_rest_go_on),
        T(too_much_to_resume_is_a_reset),
        T(head_begins_no_stream),
        T(listeners_hear_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
