/* What the engine says, read by pure functions: answers of both generations of the API, statistics of both cgroup
 * versions, log pieces cut anywhere, pulls, events. */
#include "base/json.h"
#include "base/str.h"
#include "integrations/docker/docker_events.h"
#include "integrations/docker/docker_lines.h"
#include "integrations/docker/docker_logs.h"
#include "integrations/docker/docker_parse.h"
#include "integrations/docker/docker_pull.h"
#include "integrations/docker/docker_stats.h"
#include "integrations/docker/docker_version.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static json_t *read_json(const char *text)
{
    json_t *value = NULL;
    struct error e = ERROR_INIT;
    if (json_parse(text, strlen(text), &value, &e) < 0)
        fail_msg("%s", e.message);
    return value;
}

/* ---- versions ---- */

static void versions_are_two_numbers(void **state)
{
    static const char *const bad[] = { NULL, "", "1", "1.", ".41", "1.41.2", "v1.41", "1.41 ", "1.9999", "-1.2" };
    int v = 7;
    assert_int_equal(docker_version_parse("1.41", &v), 0);
    assert_int_equal(v, 1041);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(docker_version_parse(bad[i], &v), -EINVAL);
    assert_int_equal(v, 1041);
}

static void O01_the_newest_common_version_is_agreed(void **state)
{
    static const struct {
        int min, max, used;
    } cases[] = { { 1012, 1041, 1041 }, { 1044, 1052, 1052 }, { 1044, 1060, 1052 },
                  { 0, 1045, 1045 },    { 1052, 1070, 1052 }, { 1000, 1040, 1040 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int used = 0;
        assert_int_equal(docker_version_agree(cases[i].min, cases[i].max, &used, NULL), 0);
        assert_int_equal(used, cases[i].used);
    }
}

static void O01_no_common_version_names_both_ranges(void **state)
{
    struct error e = ERROR_INIT;
    int used = -1;
    assert_int_equal(docker_version_agree(1060, 1070, &used, &e), -(int)ERR_UPSTREAM);
    assert_non_null(strstr(e.message, "1.60 to 1.70"));
    assert_non_null(strstr(e.message, "1.40 to 1.52"));
    assert_int_equal(docker_version_agree(0, 1024, &used, &e), -(int)ERR_UPSTREAM);
    assert_non_null(strstr(e.message, "at most 1.24"));
    assert_non_null(strstr(e.message, "the engine is too old"));
    assert_int_equal(used, -1);
}

/* ---- logs ---- */

struct seen {
    struct buf out[3]; /* by stream */
    unsigned calls, stop_after;
};

static int see(void *ctx, enum engine_stream stream, const char *bytes, size_t len)
{
    struct seen *s = ctx;
    if (s->stop_after && ++s->calls >= s->stop_after)
        return -77;
    return buf_append(&s->out[stream], bytes, len);
}

static void seen_done(struct seen *s)
{
    for (int i = 0; i < 3; i++)
        buf_done(&s->out[i]);
}

static const char framed[] = "\1\0\0\0\0\0\0\5HELLO"
                             "\2\0\0\0\0\0\0\4oops"
                             "\1\0\0\0\0\0\0\0"
                             "\0\0\0\0\0\0\0\2in"
                             "\1\0\0\0\0\0\0\1\n";

static void O02_pieces_are_the_same_wherever_the_stream_is_cut(void **state)
{
    size_t len = sizeof(framed) - 1;
    for (size_t a = 0; a <= len; a++) {
        for (size_t b = a; b <= len; b++) {
            struct seen s = { 0 };
            struct docker_demux d;
            docker_demux_init(&d, false, see, &s);
            assert_int_equal(docker_demux_feed(&d, framed, a), 0);
            assert_int_equal(docker_demux_feed(&d, framed + a, b - a), 0);
            assert_int_equal(docker_demux_feed(&d, framed + b, len - b), 0);
            assert_int_equal(docker_demux_end(&d, NULL), 0);
            assert_string_equal(buf_str(&s.out[STREAM_STDOUT]), "HELLOin\n");
            assert_string_equal(buf_str(&s.out[STREAM_STDERR]), "oops");
            seen_done(&s);
        }
    }
}

static void O02_with_a_terminal_no_byte_is_taken_for_a_header(void **state)
{
    struct seen s = { 0 };
    struct docker_demux d;
    docker_demux_init(&d, true, see, &s);
    assert_int_equal(docker_demux_feed(&d, framed, sizeof(framed) - 1), 0);
    assert_int_equal(docker_demux_end(&d, NULL), 0);
    assert_int_equal(s.out[STREAM_STDOUT].len, sizeof(framed) - 1);
    assert_memory_equal(s.out[STREAM_STDOUT].data, framed, sizeof(framed) - 1);
    seen_done(&s);
}

static void a_log_that_is_not_framed_or_ends_within_a_piece_is_an_error(void **state)
{
    struct seen s = { 0 };
    struct error e = ERROR_INIT;
    struct docker_demux d;
    docker_demux_init(&d, false, see, &s);
    assert_int_equal(docker_demux_feed(&d, "HELLO WORLD", 11), -EPROTO);
    docker_demux_init(&d, false, see, &s);
    assert_int_equal(docker_demux_feed(&d, framed, 10), 0);
    assert_int_equal(docker_demux_end(&d, &e), -(int)ERR_UPSTREAM);
    docker_demux_init(&d, false, see, &s);
    assert_int_equal(docker_demux_feed(&d, "\3\0\0\0\0\0\0\4d\nsk", 12), 0);
    assert_int_equal(docker_demux_end(&d, &e), -(int)ERR_UPSTREAM);
    assert_non_null(strstr(e.message, "d sk"));
    seen_done(&s);
}

static void a_log_stops_where_its_reader_says(void **state)
{
    struct seen s = { .stop_after = 2 };
    struct docker_demux d;
    docker_demux_init(&d, false, see, &s);
    assert_int_equal(docker_demux_feed(&d, framed, sizeof(framed) - 1), -77);
    assert_string_equal(buf_str(&s.out[STREAM_STDOUT]), "HELLO");
    assert_int_equal(s.calls, 2);
    seen_done(&s);
}

/* ---- statistics ---- */

/* What both cgroup versions answer alike; %s: memory, input and output, pids. */
#define STATS(memory, io, pids)                                                                            \
    "{\"read\":\"2026-11-25T14:00:00.5Z\",\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":2500000000},"      \
    "\"online_cpus\":4},\"networks\":{\"eth0\":{\"rx_bytes\":10,\"tx_bytes\":1},\"eth1\":{\"rx_bytes\":5," \
    "\"tx_bytes\":2}},\"memory_stats\":" memory ",\"blkio_stats\":{\"io_service_bytes_recursive\":" io     \
    "},\"pids_stats\":" pids "}"

static int stats(const char *text, struct engine_stats *ret, struct error *e)
{
    return docker_stats_parse(text, strlen(text), ret, e);
}

static void O03_memory_with_cgroup_v1_leaves_out_the_inactive_files_of_the_whole_group(void **state)
{
    struct engine_stats s;
    assert_int_equal(stats(STATS("{\"usage\":600000000,\"limit\":1000000000,\"stats\":{\"inactive_file\":7,"
                                 "\"cache\":520000000,\"total_inactive_file\":500000000}}",
                                 "[{\"op\":\"Read\",\"value\":3},{\"op\":\"Write\",\"value\":4},{\"op\":\"Read\","
                                 "\"value\":30},{\"op\":\"Total\",\"value\":37}]",
                                 "{\"current\":2}"),
                           &s, NULL),
                     0);
    assert_int_equal(s.memory_used, 100000000);
    assert_int_equal(s.memory_limit, 1000000000);
    assert_int_equal(s.io_read, 33);
    assert_int_equal(s.io_write, 4);
    assert_int_equal(s.pids, 2);
    assert_true(s.cpu_seconds == 2.5 && s.cpu_limit_cores == 4);
    assert_int_equal(s.network_receive, 15);
    assert_int_equal(s.network_transmit, 3);
    assert_int_equal(s.read_ms, 1795615200500);
}

static void O03_memory_with_cgroup_v2_leaves_out_inactive_files_and_no_limit_is_readable(void **state)
{
    struct engine_stats s;
    assert_int_equal(stats(STATS("{\"usage\":600000000,\"limit\":18446744073709551615,\"stats\":{\"file\":520000000,"
                                 "\"inactive_file\":500000000}}",
                                 "[{\"op\":\"read\",\"value\":3},{\"op\":\"write\",\"value\":4}]",
                                 "{\"current\":2,\"limit\":18446744073709551615}"),
                           &s, NULL),
                     0);
    assert_int_equal(s.memory_used, 100000000);
    assert_true(s.memory_limit > 0);
    assert_int_equal(s.io_read, 3);
    assert_int_equal(s.io_write, 4);
}

static void O03_memory_is_never_negative(void **state)
{
    static const char *const memories[] = { "{}",
                                            "null",
                                            "{\"usage\":5,\"stats\":{\"inactive_file\":6}}",
                                            "{\"usage\":5,\"stats\":{\"total_inactive_file\":9}}",
                                            "{\"usage\":-4}",
                                            "{\"usage\":1e30,\"stats\":{\"inactive_file\":-1e30}}" };
    for (size_t i = 0; i < ARRAY_LEN(memories); i++) {
        char text[512];
        struct engine_stats s;
        (void)snprintf(text, sizeof text, "{\"read\":\"2026-11-25T14:00:00Z\",\"memory_stats\":%s}", memories[i]);
        assert_int_equal(stats(text, &s, NULL), 0);
        assert_true(s.memory_used >= 0);
    }
}

static void statistics_of_a_stopped_container_and_nonsense_are_errors(void **state)
{
    struct engine_stats s = { .pids = 99 };
    assert_int_equal(stats("{\"read\":\"0001-01-01T00:00:00Z\",\"memory_stats\":{}}", &s, NULL), -(int)ERR_CONFLICT);
    static const char *const bad[] = { "", "[]", "{}", "{\"read\":5}", "{\"read\":\"now\"}", "{\"read\"" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(stats(bad[i], &s, NULL), -(int)ERR_UPSTREAM);
    assert_int_equal(s.pids, 99);
}

/* ---- containers ---- */

static void a_list_is_read_in_the_form_of_1_41(void **state)
{
    struct engine_container *list;
    size_t n;
    _cleanup_json_ json_t *answer = read_json(
        "[{\"Id\":\"" ID
        "\",\"Names\":[\"/web/db\",\"/db\"],\"Image\":\"pg:15\",\"ImageID\":\"sha256:aa\",\"Command\":\"run\","
        "\"Created\":1795615859,\"Ports\":[{\"IP\":\"127.0.0.1\",\"PrivatePort\":80,\"PublicPort\":32768,\"Type\":\"tcp\"},"
        "{\"PrivatePort\":53,\"Type\":\"udp\"}],\"Labels\":{\"a.b\":\"c\"},\"State\":\"running\",\"Status\":\"Up 5 minutes "
        "(health: starting)\",\"NetworkSettings\":{\"Networks\":{\"a\":{\"IPAddress\":\"\"},\"b\":{\"IPAddress\":\"172.30.0.2\"}}},"
        "\"Mounts\":[{\"Type\":\"volume\",\"Name\":\"data\",\"Source\":\"/var/lib/x\",\"Destination\":\"/d\",\"RW\":false}]},"
        "{\"Id\":\"cc\",\"Names\":[\"/old\"],\"State\":\"exited\",\"Status\":\"Exited (137) 2 days ago\",\"Labels\":null,\"Ports\":null,"
        "\"Mounts\":null}]");
    assert_int_equal(docker_parse_list(answer, &list, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_string_equal(list[0].id, ID);
    assert_string_equal(list[0].name, "db");
    assert_string_equal(list[0].image, "pg:15");
    assert_int_equal(list[0].health, HEALTH_STARTING);
    assert_int_equal(list[0].created_ms, 1795615859000);
    assert_int_equal(list[0].port_count, 2);
    assert_int_equal(list[0].ports[0].host, 32768);
    assert_string_equal(list[0].ports[0].host_ip, "127.0.0.1");
    assert_int_equal(list[0].ports[1].host, 0);
    assert_string_equal(list[0].ports[1].protocol, "udp");
    assert_string_equal(list[0].ip, "172.30.0.2");
    assert_string_equal(json_string_value(json_object_get(list[0].labels, "a.b")), "c");
    assert_int_equal(list[0].mount_count, 1);
    assert_string_equal(list[0].mounts[0].source, "data");
    assert_true(list[0].mounts[0].readonly);
    assert_int_equal(list[0].restart_count, -1);
    assert_int_equal(list[1].exit_code, 137);
    assert_int_equal(json_object_size(list[1].labels), 0);
    engine_containers_free(list, n);
}

static void a_list_is_read_in_the_form_of_1_52(void **state)
{
    static const struct {
        const char *status;
        enum engine_health health;
    } cases[] = { { "none", HEALTH_NONE }, { "healthy", HEALTH_HEALTHY }, { "unhealthy", HEALTH_UNHEALTHY } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[512];
        struct engine_container *list;
        size_t n;
        (void)snprintf(
            text, sizeof text,
            "[{\"Id\":\"" ID "\",\"Names\":[\"/a\"],\"State\":\"running\",\"Status\":\"Up 5 minutes\","
            "\"Health\":{\"Status\":\"%s\",\"FailingStreak\":0},\"ImageManifestDescriptor\":{\"size\":405}}]",
            cases[i].status);
        _cleanup_json_ json_t *answer = read_json(text);
        assert_int_equal(docker_parse_list(answer, &list, &n, NULL), 0);
        assert_int_equal(list[0].health, cases[i].health);
        engine_containers_free(list, n);
    }
}

static void a_list_of_nonsense_changes_nothing(void **state)
{
    static const char *const bad[] = { "{}",
                                       "null",
                                       "[1]",
                                       "[{\"Id\":5,\"State\":\"x\"}]",
                                       "[{\"Id\":\"a\"}]",
                                       "[{\"Id\":\"a\",\"State\":\"running\"},[]]" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct engine_container *list = (void *)bad;
        size_t n = 77;
        struct error e = ERROR_INIT;
        json_t *answer = json_loads(bad[i], JSON_DECODE_ANY, NULL);
        assert_int_equal(docker_parse_list(answer, &list, &n, &e), -(int)ERR_UPSTREAM);
        assert_int_equal(n, 77);
        assert_ptr_equal(list, bad);
        json_decref(answer);
    }
}

#define INSPECT(state, settings)                                                                                       \
    "{\"Id\":\"" ID "\",\"Name\":\"/web\",\"Created\":\"2026-11-25T14:00:00.25Z\",\"Path\":\"sh\",\"Args\":[\"-c\","   \
    "\"sleep 1\"],\"State\":" state ",\"Image\":\"sha256:bb\",\"RestartCount\":3,\"HostConfig\":{\"Memory\":67108864," \
    "\"NanoCpus\":500000000},\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/srv\",\"Destination\":\"/s\",\"RW\":true}]," \
    "\"Config\":{\"Image\":\"web:2\",\"Tty\":true,\"Env\":[\"TOKEN=sesame\",\"EMPTY=\"],\"Labels\":{\"k\":\"v\"}},"    \
    "\"NetworkSettings\":" settings "}"

static void a_container_is_read_in_the_forms_of_1_41_and_1_52(void **state)
{
    static const char *const forms[] = {
        INSPECT(
            "{\"Status\":\"running\",\"ExitCode\":0,\"Error\":\"\",\"StartedAt\":\"2026-11-25T14:00:01Z\","
            "\"FinishedAt\":\"0001-01-01T00:00:00Z\",\"Health\":{\"Status\":\"unhealthy\",\"Log\":[{\"Output\":\"old\"},"
            "{\"Output\":\"no route\"}]}}",
            "{\"IPAddress\":\"172.30.0.2\",\"Ports\":{\"80/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"8080\"}],"
            "\"53/udp\":null}}"),
        INSPECT(
            "{\"Status\":\"running\",\"ExitCode\":0,\"Error\":\"\",\"StartedAt\":\"2026-11-25T14:00:01Z\","
            "\"FinishedAt\":\"0001-01-01T00:00:00Z\",\"Health\":{\"Status\":\"unhealthy\",\"Log\":[{\"Output\":\"old\"},"
            "{\"Output\":\"no route\"}]}}",
            "{\"Ports\":{\"80/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"8080\"}],\"53/udp\":[]},"
            "\"Networks\":{\"bridge\":{\"IPAddress\":\"172.30.0.2\"}}}"),
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct engine_container c;
        _cleanup_json_ json_t *answer = read_json(forms[i]);
        assert_int_equal(docker_parse_container(answer, &c, NULL), 0);
        assert_string_equal(c.name, "web");
        assert_string_equal(c.command, "sh -c sleep 1");
        assert_string_equal(c.ip, "172.30.0.2");
        assert_int_equal(c.port_count, 2);
        assert_int_equal(c.ports[0].host, 8080);
        assert_int_equal(c.ports[1].container, 53);
        assert_int_equal(c.ports[1].host, 0);
        assert_int_equal(c.created_ms, 1795615200250);
        assert_int_equal(c.started_ms, 1795615201000);
        assert_int_equal(c.finished_ms, 0);
        assert_int_equal(c.memory_limit, 67108864);
        assert_true(c.cpu_limit == 0.5);
        assert_true(c.tty);
        assert_null(c.error);
        assert_int_equal(c.health, HEALTH_UNHEALTHY);
        assert_string_equal(c.health_output, "no route");
        assert_int_equal(c.restart_count, 3);
        assert_string_equal(c.mounts[0].source, "/srv");
        char *keys = json_dumps(c.environment_keys, JSON_COMPACT);
        assert_string_equal(keys, "[\"TOKEN\",\"EMPTY\"]"); /* never the values */
        free(keys);
        engine_container_done(&c);
    }
}

static void an_environment_keeps_what_stands_behind_the_first_equals_sign(void **state)
{
    _cleanup_json_ json_t *answer = read_json("{\"Config\":{\"Env\":[\"A=x=y\",\"B=\",\"C\",\"=odd\",\"A=last\",5]}}");
    _cleanup_json_ json_t *none = read_json("{\"Config\":{\"Env\":null}}"), *nonsense = read_json("{}");
    _cleanup_json_ json_t *want = read_json("{\"A\":\"last\",\"B\":\"\",\"C\":\"\"}");
    json_t *got = NULL;
    assert_int_equal(docker_parse_environment(answer, &got, NULL), 0);
    assert_true(json_equal(got, want));
    json_decref(got);
    assert_int_equal(docker_parse_environment(none, &got, NULL), 0);
    assert_int_equal(json_object_size(got), 0);
    json_decref(got);
    assert_int_equal(docker_parse_environment(nonsense, &got, NULL), -(int)ERR_UPSTREAM);
}

static void a_failed_start_keeps_its_reason_and_a_long_probe_is_cut_between_characters(void **state)
{
    struct engine_container c;
    _cleanup_json_ json_t *answer = read_json(INSPECT(
        "{\"Status\":\"created\",\"ExitCode\":128,\"OOMKilled\":true,\"Error\":\"no such program\",\"Health\":{\"Log\":"
        "[{\"Output\":\"\"}]}}",
        "{}"));
    struct buf long_text;
    buf_init(&long_text, 0);
    buf_putc(&long_text, 'x');
    for (int i = 0; i < 3000; i++)
        buf_puts(&long_text, "\xc3\xbc");
    json_t *log = json_at(answer, "State.Health.Log");
    json_object_set_new(json_array_get(log, 0), "Output", json_string(buf_str(&long_text)));
    assert_int_equal(docker_parse_container(answer, &c, NULL), 0);
    assert_string_equal(c.error, "no such program");
    assert_int_equal(c.exit_code, 128);
    assert_true(c.oom_killed);
    assert_int_equal(strlen(c.health_output), DOCKER_HEALTH_OUTPUT_MAX - 1);
    assert_true(str_is_utf8(c.health_output, strlen(c.health_output)));
    engine_container_done(&c);
    buf_done(&long_text);
}

static void a_thousand_containers_are_a_list(void **state)
{
    struct engine_container *list;
    size_t n;
    _cleanup_json_ json_t *all = json_array();
    for (int i = 0; i < 1000; i++)
        json_array_append_new(all, json_pack("{s:s,s:s,s:[s]}", "Id", ID, "State", "running", "Names", "/x"));
    assert_int_equal(docker_parse_list(all, &list, &n, NULL), 0);
    assert_int_equal(n, 1000);
    engine_containers_free(list, n);
}

static void an_image_is_read_in_the_forms_of_1_41_and_1_52(void **state)
{
    static const struct {
        const char *text;
        bool health;
        size_t ports;
    } cases[] = {
        { "{\"Id\":\"sha256:aa\",\"RepoDigests\":[\"r/a@sha256:1\",\"r/b@sha256:2\"],\"ContainerConfig\":{\"Cmd\":null},\"Config\":"
          "{\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{}},\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"]}},\"Architecture\":\"amd64\","
          "\"Os\":\"linux\",\"Size\":5,\"VirtualSize\":5}",
          true, 2 },
        { "{\"Id\":\"sha256:aa\",\"RepoDigests\":[\"r/a@sha256:1\",\"r/b@sha256:2\"],\"Config\":{\"Healthcheck\":{\"Test\":"
          "[\"NONE\"]}},\"Architecture\":\"amd64\",\"Os\":\"linux\",\"Size\":5,\"Descriptor\":{\"size\":405}}",
          false, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct engine_image image;
        _cleanup_json_ json_t *answer = read_json(cases[i].text);
        assert_int_equal(docker_parse_image(answer, &image, NULL), 0);
        assert_int_equal(json_array_size(image.digests), 2); /* O04: every digest counts */
        assert_int_equal(json_array_size(image.exposed_ports), cases[i].ports);
        assert_int_equal(image.has_health_check, cases[i].health);
        assert_string_equal(image.architecture, "amd64");
        assert_int_equal(image.size, 5);
        engine_image_done(&image);
    }
}

static void an_engine_says_what_it_is(void **state)
{
    struct engine_info i = { 0 };
    _cleanup_json_ json_t *info =
        read_json("{\"CgroupVersion\":\"2\",\"OperatingSystem\":\"Debian\",\"Architecture\":\"x86_64\","
                  "\"SecurityOptions\":[\"name=seccomp\",\"name=rootless\"],\"Swarm\":{\"LocalNodeState\":"
                  "\"active\"}}");
    _cleanup_json_ json_t *podman = read_json("{\"Version\":\"4.3\",\"Components\":[{\"Name\":\"Podman Engine\"}]}");
    _cleanup_json_ json_t *old = read_json("{\"Version\":\"19.03\"}");
    docker_parse_info(info, podman, &i);
    assert_string_equal(i.kind, "podman");
    assert_string_equal(i.version, "4.3");
    assert_int_equal(i.cgroup_version, 2);
    assert_true(i.rootless && i.swarm_active);
    docker_parse_info(old, old, &i);
    assert_string_equal(i.kind, "docker");
    assert_int_equal(i.cgroup_version, 1);
    assert_false(i.rootless || i.swarm_active);
}

/* ---- pull ---- */

struct pulled {
    struct engine_progress last;
    int calls, stop_at;
    int64_t most;
};

static int progress(void *ctx, const struct engine_progress *p)
{
    struct pulled *t = ctx;
    t->last = *p;
    assert_true(p->bytes_done >= t->most); /* never back */
    t->most = p->bytes_done;
    return ++t->calls == t->stop_at ? -55 : 0;
}

static const char pull_text[] =
    "{\"status\":\"Pulling from demo\",\"id\":\"1\"}\r\n"
    "{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"a\"}\r\n"
    "{\"status\":\"Already exists\",\"progressDetail\":{},\"id\":\"b\"}\r\n"
    "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":40,\"total\":100},\"id\":\"a\"}\r\n"
    "{\"status\":\"Download complete\",\"progressDetail\":{},\"id\":\"a\"}\r\n"
    "{\"status\":\"Extracting\",\"progressDetail\":{\"current\":1,\"units\":\"s\"},\"id\":\"a\"}\r\n"
    "{\"status\":\"Pull complete\",\"id\":\"a\"}\r\n"
    "{\"status\":\"Pull complete\",\"id\":\"a\"}\r\n"
    "{\"status\":\"Digest: sha256:1\"}";

static void a_pull_counts_layers_and_bytes_wherever_its_stream_is_cut(void **state)
{
    size_t len = sizeof(pull_text) - 1;
    for (size_t cut = 0; cut <= len; cut++) {
        struct pulled t = { 0 };
        struct docker_lines lines;
        struct docker_pull *p = docker_pull_new(progress, &t);
        docker_lines_init(&lines, docker_pull_line, p);
        assert_int_equal(docker_lines_feed(&lines, pull_text, cut), 0);
        assert_int_equal(docker_lines_feed(&lines, pull_text + cut, len - cut), 0);
        assert_int_equal(docker_lines_end(&lines), 0);
        assert_int_equal(t.calls, 9);
        assert_int_equal(t.last.layers_total, 2);
        assert_int_equal(t.last.layers_done, 2);
        assert_int_equal(t.last.bytes_done, 100);
        assert_int_equal(t.last.bytes_total, 100);
        assert_int_equal(docker_pull_end(p, NULL), 0);
        docker_lines_done(&lines);
        docker_pull_free(p);
    }
}

static int pull_of(const char *text, struct pulled *t, struct error *e)
{
    struct docker_lines lines;
    struct docker_pull *p = docker_pull_new(progress, t);
    docker_lines_init(&lines, docker_pull_line, p);
    int r = docker_lines_feed(&lines, text, strlen(text));
    if (r == 0)
        r = docker_lines_end(&lines);
    if (r == 0)
        r = docker_pull_end(p, e);
    docker_lines_done(&lines);
    docker_pull_free(p);
    return r;
}

static void an_error_within_a_pull_is_an_error_in_the_engines_words(void **state)
{
    struct pulled t = { 0 };
    struct error e = ERROR_INIT;
    assert_int_equal(
        pull_of(
            "{\"status\":\"Pulling from demo\"}\n{\"errorDetail\":{\"message\":\"disk\\nfull\"},\"error\":\"disk\"}\n",
            &t, &e),
        -(int)ERR_UPSTREAM);
    assert_non_null(strstr(e.message, "disk full"));
    assert_int_equal(pull_of("{\"error\":\"denied\"}\n{\"status\":\"Digest: x\"}\n", &t, &e), -(int)ERR_UPSTREAM);
    assert_non_null(strstr(e.message, "denied"));
    assert_int_equal(pull_of("\n \r\n", &t, &e), -(int)ERR_UPSTREAM);
    assert_int_equal(pull_of("hello\n", &t, &e), -EPROTO);
    assert_int_equal(pull_of("[]\n", &t, &e), -EPROTO);
}

static void a_pull_stops_where_its_caller_says_and_survives_wild_numbers(void **state)
{
    struct pulled t = { .stop_at = 2 };
    assert_int_equal(pull_of(pull_text, &t, NULL), -55);
    assert_int_equal(t.calls, 2);
    t = (struct pulled){ 0 };
    assert_int_equal(
        pull_of(
            "{\"status\":\"Downloading\",\"id\":\"a\",\"progressDetail\":{\"current\":9223372036854775807,\"total\":"
            "9223372036854775807}}\n{\"status\":\"Downloading\",\"id\":\"b\",\"progressDetail\":{\"current\":-5,"
            "\"total\":-7}}\n",
            &t, NULL),
        0);
    assert_true(t.last.bytes_done >= 0 && t.last.bytes_done <= t.last.bytes_total);
}

static void a_line_has_a_limit(void **state)
{
    struct docker_lines lines;
    char block[4096];
    int r = 0;
    memset(block, ' ', sizeof block);
    docker_lines_init(&lines, docker_pull_line, NULL);
    for (size_t i = 0; r == 0 && i < 2 * DOCKER_LINE_MAX; i += sizeof block)
        r = docker_lines_feed(&lines, block, sizeof block);
    assert_int_equal(r, -EMSGSIZE);
    docker_lines_done(&lines);
}

/* ---- events ---- */

static void events_of_both_generations_are_read_and_commands_left_out(void **state)
{
    static const struct {
        const char *text, *action;
    } cases[] = {
        { "{\"status\":\"start\",\"id\":\"" ID
          "\",\"from\":\"a\",\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"" ID
          "\",\"Attributes\":{\"name\":\"web\"}},\"time\":1795615200,\"timeNano\":1795615200123456789}",
          "start" },
        { "{\"Type\":\"container\",\"Action\":\"health_status: healthy\",\"Actor\":{\"ID\":\"" ID
          "\",\"Attributes\":{\"name\":\"web\"}},\"timeNano\":1795615200123456789}",
          "health_status: healthy" },
        { "{\"Type\":\"container\",\"Action\":\"exec_start: login --password=sesame\",\"Actor\":{\"ID\":\"" ID
          "\",\"Attributes\":{\"name\":\"web\"}},\"timeNano\":1795615200123456789}",
          "exec_start" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct engine_event ev;
        _cleanup_json_ json_t *line = read_json(cases[i].text);
        assert_true(docker_event_parse(line, &ev));
        assert_string_equal(ev.action, cases[i].action);
        assert_string_equal(ev.id, ID);
        assert_string_equal(ev.name, "web");
        assert_int_equal(ev.at_ms, 1795615200123);
    }
    struct engine_event ev;
    _cleanup_json_ json_t *other = read_json("{\"Type\":\"daemon\",\"Action\":\"reload\"}");
    assert_false(docker_event_parse(other, &ev));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_two_numbers),
        cmocka_unit_test(O01_the_newest_common_version_is_agreed),
        cmocka_unit_test(O01_no_common_version_names_both_ranges),
        cmocka_unit_test(O02_pieces_are_the_same_wherever_the_stream_is_cut),
        cmocka_unit_test(O02_with_a_terminal_no_byte_is_taken_for_a_header),
        cmocka_unit_test(a_log_that_is_not_framed_or_ends_within_a_piece_is_an_error),
        cmocka_unit_test(a_log_stops_where_its_reader_says),
        cmocka_unit_test(O03_memory_with_cgroup_v1_leaves_out_the_inactive_files_of_the_whole_group),
        cmocka_unit_test(O03_memory_with_cgroup_v2_leaves_out_inactive_files_and_no_limit_is_readable),
        cmocka_unit_test(O03_memory_is_never_negative),
        cmocka_unit_test(statistics_of_a_stopped_container_and_nonsense_are_errors),
        cmocka_unit_test(a_list_is_read_in_the_form_of_1_41),
        cmocka_unit_test(a_list_is_read_in_the_form_of_1_52),
        cmocka_unit_test(a_list_of_nonsense_changes_nothing),
        cmocka_unit_test(a_container_is_read_in_the_forms_of_1_41_and_1_52),
        cmocka_unit_test(an_environment_keeps_what_stands_behind_the_first_equals_sign),
        cmocka_unit_test(a_failed_start_keeps_its_reason_and_a_long_probe_is_cut_between_characters),
        cmocka_unit_test(a_thousand_containers_are_a_list),
        cmocka_unit_test(an_image_is_read_in_the_forms_of_1_41_and_1_52),
        cmocka_unit_test(an_engine_says_what_it_is),
        cmocka_unit_test(a_pull_counts_layers_and_bytes_wherever_its_stream_is_cut),
        cmocka_unit_test(an_error_within_a_pull_is_an_error_in_the_engines_words),
        cmocka_unit_test(a_pull_stops_where_its_caller_says_and_survives_wild_numbers),
        cmocka_unit_test(a_line_has_a_limit),
        cmocka_unit_test(events_of_both_generations_are_read_and_commands_left_out),
    };
    return cmocka_run_group_tests_name("docker", tests, NULL, NULL);
}
