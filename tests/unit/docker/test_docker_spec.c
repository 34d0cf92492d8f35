/* What we say to the engine and what its refusals become: references and names, errors, the request for a container. */
#include "base/json.h"
#include "base/str.h"
#include "integrations/docker/docker_error.h"
#include "integrations/docker/docker_login.h"
#include "integrations/docker/docker_reference.h"
#include "integrations/docker/docker_spec.h"
#include "integrations/docker/docker_tar.h"

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

/* ---- names ---- */

#define HEX64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void references_are_split_with_latest_as_the_default(void **state)
{
    static const struct {
        const char *text, *repository, *tag;
    } good[] = {
        { "demo", "demo", "latest" },
        { "demo:1", "demo", "1" },
        { "host:5000/a/b", "host:5000/a/b", "latest" },
        { "host:5000/a/b:v1.2_x", "host:5000/a/b", "v1.2_x" },
        { "Host.example/a@sha256:" HEX64, "Host.example/a", "sha256:" HEX64 },
        { "a:1@sha256:" HEX64, "a", "sha256:" HEX64 },
        { "[::1]:5000/a", "[::1]:5000/a", "latest" },
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct docker_reference r;
        assert_int_equal(docker_reference_parse(good[i].text, &r, NULL), 0);
        assert_string_equal(r.repository, good[i].repository);
        assert_string_equal(r.tag, good[i].tag);
    }
}

static void names_that_could_leave_their_place_in_a_path_are_refused(void **state)
{
    static const char *const bad[] = { NULL,   "",          " ",           "a b",    "../info", "a/../../info",
                                       "a//b", "/a",        "a/",          "a?x=1",  "a#b",     "a%2fb",
                                       "a:",   "a:b:c",     "a@sha256:12", "a@",     "a\n",     "a/.b",
                                       "-a",   "UPPER/x y", "a&tag=2",     "a:..%2f" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct docker_reference r = { .tag = "kept" };
        if (docker_reference_parse(bad[i], &r, NULL) != -(int)ERR_VALIDATION || docker_image_name_valid(bad[i]))
            fail_msg("\"%s\" was taken", bad[i] ? bad[i] : "NULL");
        assert_string_equal(r.tag, "kept");
        assert_false(docker_name_valid(bad[i]));
    }
    assert_true(docker_image_name_valid("sha256:" HEX64));
    assert_true(docker_name_valid(ID));
    assert_true(docker_name_valid("web_1.a-b"));
    assert_false(docker_name_valid("a/b"));
}

/* ---- refusals ---- */

static enum error_code refusal(long status, const char *body, const json_t *secrets, struct error *e)
{
    return (enum error_code) - docker_refused(status, body, strlen(body), "container web", secrets, e);
}

static void refusals_keep_the_engines_words(void **state)
{
    struct error e = ERROR_INIT;
    assert_int_equal(refusal(404, "{\"message\":\"No such container: web\"}", NULL, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.message, "No such container: web"));
    assert_int_equal(refusal(409, "{\"message\":\"name in use\"}", NULL, &e), ERR_CONFLICT);
    assert_int_equal(refusal(500, "plain\twords of a proxy", NULL, &e), ERR_UPSTREAM);
    assert_non_null(strstr(e.message, "plain words"));
    assert_int_equal(refusal(502, "", NULL, &e), ERR_UPSTREAM);
    assert_non_null(strstr(e.message, "no reason"));
    assert_int_equal(refusal(400, "{\"message\":7}", NULL, &e), ERR_UPSTREAM);
}

static void a_taken_port_is_a_conflict_that_names_it(void **state)
{
    static const struct {
        const char *words;
        int port;
    } cases[] = {
        { "driver failed on endpoint web (0f:1): listen tcp4 127.0.0.1:5599: bind: address already in use", 5599 },
        { "failed to bind host port 127.0.0.1:5600/tcp: address already in use", 5600 },
        { "Bind for 0.0.0.0:8080 failed: port is already allocated", 8080 },
        { "failed to bind host port for [::1]:81:172.17.0.2:80/tcp: address already in use", 81 },
        { "listen tcp4 127.0.0.1:70000: address already in use", 0 },
        { "address already in use", 0 },
        { "", 0 },
        { "no route to 10.0.0.1:80", 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(docker_taken_port(cases[i].words), cases[i].port);
    struct error e = ERROR_INIT;
    assert_int_equal(
        refusal(500, "{\"message\":\"listen tcp4 127.0.0.1:5599: bind: address already in use\"}", NULL, &e),
        ERR_CONFLICT);
    assert_non_null(strstr(e.message, "Port 5599"));
}

static void long_words_are_bounded_and_values_of_the_environment_masked(void **state)
{
    struct error e = ERROR_INIT;
    struct buf body;
    buf_init(&body, 0);
    for (int i = 0; i < 5000; i++)
        buf_puts(&body, "\xc3\xbc");
    assert_int_equal(refusal(500, buf_str(&body), NULL, &e), ERR_UPSTREAM);
    assert_true(str_is_utf8(e.message, strlen(e.message)));
    buf_done(&body);
    _cleanup_json_ json_t *environment = read_json("{\"TOKEN\":\"sesame\",\"DEBUG\":\"1\"}");
    refusal(400, "{\"message\":\"1 bad: TOKEN=sesame\"}", environment, &e);
    assert_null(strstr(e.message, "sesame"));
    assert_non_null(strstr(e.message, "1 bad: TOKEN=******"));
}

/* ---- a new container ---- */

static void a_spec_becomes_the_engines_request(void **state)
{
    const char *command[] = { "serve", "-p", NULL }, *probe[] = { "check", NULL };
    _cleanup_json_ json_t *environment = read_json("{\"A\":\"x=y\",\"B\":\"\"}");
    _cleanup_json_ json_t *labels = read_json("{\"a.b\":\"c\"}");
    struct engine_port ports[] = { { .container = 80 },
                                   { .container = 53, .protocol = "udp", .host = 5353, .host_ip = "0.0.0.0" },
                                   { .container = 80, .host = 8080, .protocol = "tcp", .host_ip = "::1" } };
    char volume[] = "volume", data[] = "data", target[] = "/d";
    struct engine_mount mounts[] = { { .kind = volume, .source = data, .target = target, .readonly = true } };
    struct engine_spec s = { .name = "web",
                             .image = "r/web:1",
                             .command = command,
                             .environment = environment,
                             .labels = labels,
                             .ports = ports,
                             .port_count = 3,
                             .mounts = mounts,
                             .mount_count = 1,
                             .cpu_limit = 0.25,
                             .memory_limit = 1 << 26,
                             .restart_policy = "unless-stopped",
                             .stop_grace_s = 7,
                             .health_command = probe,
                             .health_interval_ms = 1500,
                             .health_retries = 3 };
    struct buf out;
    struct error e = ERROR_INIT;
    buf_init(&out, 0);
    assert_int_equal(docker_spec_check(&s, &e), 0);
    docker_spec_write(&s, &out);
    _cleanup_json_ json_t *got = read_json(buf_str(&out));
    _cleanup_json_ json_t *want = read_json(
        "{\"Image\":\"r/web:1\",\"Cmd\":[\"serve\",\"-p\"],\"Env\":[\"A=x=y\",\"B=\"],\"Labels\":{\"a.b\":\"c\"},\"StopTimeout\":7,"
        "\"Healthcheck\":{\"Test\":[\"CMD\",\"check\"],\"Interval\":1500000000,\"Retries\":3},"
        "\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{}},\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"127.0.0.1\","
        "\"HostPort\":\"\"},{\"HostIp\":\"::1\",\"HostPort\":\"8080\"}],\"53/udp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"5353\"}]},"
        "\"Mounts\":[{\"Type\":\"volume\",\"Source\":\"data\",\"Target\":\"/d\",\"ReadOnly\":true}],\"Memory\":67108864,"
        "\"NanoCpus\":250000000,\"RestartPolicy\":{\"Name\":\"unless-stopped\"}}}");
    if (!json_equal(got, want))
        fail_msg("%s", buf_str(&out));
    buf_done(&out);
}

static void what_an_owner_asks_for_beyond_the_standards_is_in_the_request(void **state)
{
    _cleanup_json_ json_t *devices = read_json("[{\"source\":\"/dev/a\"}]"), *dns = read_json("[\"1.1.1.1\"]");
    _cleanup_json_ json_t *ulimits = read_json("[{\"name\":\"nofile\",\"soft\":5}]"), *none = read_json("[]");
    _cleanup_json_ json_t *networks = read_json("[{\"name\":\"n1\",\"aliases\":[\"a\"]},{\"name\":\"n2\"}]");
    struct engine_spec s = { .name = "web",
                             .image = "web",
                             .user = "1:1",
                             .stop_signal = "SIGINT",
                             .devices = devices,
                             .dns = dns,
                             .extra_hosts = none,
                             .ulimits = ulimits,
                             .networks = networks,
                             .gpus = 2,
                             .pid_mode = "host",
                             .shm_size = 5,
                             .init = true };
    struct buf out, join;
    struct error e = ERROR_INIT;
    buf_init(&out, 0);
    buf_init(&join, 0);
    assert_int_equal(docker_spec_check(&s, &e), 0);
    docker_spec_write(&s, &out);
    docker_spec_write_join("web", json_array_get(networks, 0), &join);
    _cleanup_json_ json_t *got = read_json(buf_str(&out));
    _cleanup_json_ json_t *want = read_json(
        "{\"Image\":\"web\",\"Env\":[],\"User\":\"1:1\",\"StopSignal\":\"SIGINT\",\"ExposedPorts\":{},\"HostConfig\":{"
        "\"PortBindings\":{},\"Mounts\":[],\"RestartPolicy\":{\"Name\":\"no\"},\"NetworkMode\":\"n1\",\"PidMode\":\"host\","
        "\"Dns\":[\"1.1.1.1\"],\"Devices\":[{\"PathOnHost\":\"/dev/a\",\"PathInContainer\":\"/dev/a\",\"CgroupPermissions\":"
        "\"rwm\"}],\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":5,\"Hard\":5}],\"DeviceRequests\":[{\"Count\":2,"
        "\"Capabilities\":[[\"gpu\"]]}],\"ShmSize\":5,\"Init\":true},"
        "\"NetworkingConfig\":{\"EndpointsConfig\":{\"n1\":{\"Aliases\":[\"a\"]}}}}");
    if (!json_equal(got, want))
        fail_msg("%s", buf_str(&out));
    assert_string_equal(buf_str(&join), "{\"Container\":\"web\",\"EndpointConfig\":{\"Aliases\":[\"a\"]}}");
    buf_done(&out);
    buf_done(&join);
}

static void a_login_is_padded_base64url_that_every_engine_reads(void **state)
{
    _cleanup_secret_ struct secret *password = secret_new("p\"\xc3\xbf>?", 6);
    struct engine_credentials c = { .username = "u", .registry = "r.example", .password = password };
    struct error e = ERROR_INIT;
    uint8_t text[256];
    size_t n = 0;
    char *coded = NULL;
    assert_int_equal(docker_login_encode(&c, &coded, &e), 0);
    assert_int_equal(strlen(coded) % 4, 0);
    assert_int_equal(base64url_decode(coded, strcspn(coded, "="), text, sizeof text, &n), 0);
    text[n] = '\0';
    assert_string_equal((char *)text,
                        "{\"username\":\"u\",\"password\":\"p\\\"\xc3\xbf>?\",\"serveraddress\":\"r.example\"}");
    docker_login_free(coded);
    c.username = "";
    assert_int_equal(docker_login_encode(&c, &coded, &e), -(int)ERR_VALIDATION);
}

static void a_file_becomes_a_tar_with_long_names_cut_at_a_slash(void **state)
{
    char name[300], *end = name;
    struct buf tar;
    buf_init(&tar, 0);
    for (int i = 0; i < 25; i++)
        end += sprintf(end, "folder%d/", 10 + i % 10);
    strcpy(end, "ff");
    assert_int_equal(docker_tar_write(name, 0640, 5, "hello", 5, &tar), 0);
    assert_int_equal(tar.len, 4 * 512);
    assert_true(strlen(tar.data) <= 100 && str_ends(name, tar.data));
    assert_memory_equal(tar.data + 100, "0000640", 8);
    assert_memory_equal(tar.data + 124, "00000000005", 12);
    assert_int_equal(strlen(tar.data) + 1 + strnlen(tar.data + 345, 155), strlen(name));
    assert_memory_equal(tar.data + 512, "hello\0", 6);
    memset(name, 'a', 101);
    name[101] = '\0';
    assert_int_equal(docker_tar_write(name, 0640, 5, "hello", 5, &tar), -EINVAL);
    assert_int_equal(docker_tar_write("", 0640, 5, "hello", 5, &tar), -EINVAL);
    buf_done(&tar);
}

static void specs_that_cannot_be_are_refused_without_a_value(void **state)
{
    _cleanup_json_ json_t *number = read_json("{\"TOKEN\":5}"), *equals = read_json("{\"TO=KEN\":\"sesame\"}");
    struct engine_port no_number = { 0 }, sctp = { .container = 1, .protocol = "sct" },
                       address = { .container = 1, .host_ip = "home" };
    _cleanup_json_ json_t *text = read_json("\"x\""), *numbers = read_json("[1]"),
                          *nameless = read_json("[{\"name\":\"a/b\"}]");
    char bind[] = "bind", relative[] = "srv", target[] = "/t", kind[] = "npipe";
    struct engine_mount loose = { .kind = bind, .source = relative, .target = target };
    struct engine_mount no_target = { .kind = bind, .source = target, .target = relative };
    struct engine_mount other = { .kind = kind, .source = target, .target = target };
    struct engine_spec bad[] = {
        { .name = "x y", .image = "a" },
        { .name = "x", .image = "a" },
        { .name = NULL, .image = "a" },
        { .name = "xx", .image = NULL },
        { .name = "xx", .image = "a b" },
        { .name = "xx", .image = "a", .restart_policy = "sometimes" },
        { .name = "xx", .image = "a", .cpu_limit = -1 },
        { .name = "xx", .image = "a", .memory_limit = -1 },
        { .name = "xx", .image = "a", .health_retries = -1 },
        { .name = "xx", .image = "a", .environment = number },
        { .name = "xx", .image = "a", .environment = equals },
        { .name = "xx", .image = "a", .ports = &no_number, .port_count = 1 },
        { .name = "xx", .image = "a", .ports = &sctp, .port_count = 1 },
        { .name = "xx", .image = "a", .ports = &address, .port_count = 1 },
        { .name = "xx", .image = "a", .mounts = &loose, .mount_count = 1 },
        { .name = "xx", .image = "a", .mounts = &no_target, .mount_count = 1 },
        { .name = "xx", .image = "a", .mounts = &other, .mount_count = 1 },
        { .name = "xx", .image = "a", .user = "" },
        { .name = "xx", .image = "a", .hostname = "a\nb" },
        { .name = "xx", .image = "a", .dns = text },
        { .name = "xx", .image = "a", .capabilities_added = numbers },
        { .name = "xx", .image = "a", .devices = numbers },
        { .name = "xx", .image = "a", .sysctls = number },
        { .name = "xx", .image = "a", .networks = nameless },
        { .name = "xx", .image = "a", .network = "../x" },
        { .name = "xx", .image = "a", .network = "net", .network_mode = "host" },
        { .name = "xx", .image = "a", .shm_size = -1 },
        { .name = "xx", .image = "a", .gpus = -2 },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error e = ERROR_INIT;
        if (docker_spec_check(&bad[i], &e) != -(int)ERR_VALIDATION)
            fail_msg("spec %zu was taken", i);
        assert_null(strstr(e.message, "sesame"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_split_with_latest_as_the_default),
        cmocka_unit_test(names_that_could_leave_their_place_in_a_path_are_refused),
        cmocka_unit_test(refusals_keep_the_engines_words),
        cmocka_unit_test(a_taken_port_is_a_conflict_that_names_it),
        cmocka_unit_test(long_words_are_bounded_and_values_of_the_environment_masked),
        cmocka_unit_test(a_spec_becomes_the_engines_request),
        cmocka_unit_test(what_an_owner_asks_for_beyond_the_standards_is_in_the_request),
        cmocka_unit_test(a_login_is_padded_base64url_that_every_engine_reads),
        cmocka_unit_test(a_file_becomes_a_tar_with_long_names_cut_at_a_slash),
        cmocka_unit_test(specs_that_cannot_be_are_refused_without_a_value),
    };
    return cmocka_run_group_tests_name("docker-spec", tests, NULL, NULL);
}
