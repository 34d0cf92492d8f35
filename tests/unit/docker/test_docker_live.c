/* The adapter with a real engine. HB_TEST_REGISTRY names a registry ("127.0.0.1:5000") that the engine reaches. */
#include "live.h"
#include "live_image.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

static void O01_the_engine_tells_its_range_and_what_we_speak_is_in_it(void **state)
{
    struct live *l = *state;
    struct engine_info i;
    OK(l->ops->info(l->g, &i, &l->e));
    print_message("[ engine   ] %s %s, API %s to %s, spoken %s, cgroup v%d\n", i.kind, i.version, i.api_min,
                  i.api_version, i.api_used, i.cgroup_version);
    double max = atof(i.api_version), min = atof(i.api_min), used = atof(i.api_used);
    assert_true(used >= min && used <= max && used >= 1.40 && used <= 1.52);
    assert_true(max > 1.52 || used == max);
    assert_in_range(i.cgroup_version, 1, 2);
    assert_true(*i.version && *i.os && *i.architecture);
}

static void a_container_lives_as_it_was_asked_for(void **state)
{
    struct live *l = *state;
    const char *probe[] = { "true", NULL };
    struct engine_port port = { .container = 80 };
    _cleanup_json_ json_t *environment = json_pack("{s:s}", "TOKEN", "sesame");
    _cleanup_json_ json_t *labels = json_pack("{s:s}", "a.b", "c");
    live_run(l, "echo $TOKEN; while :; do nc -l -p 80 -e echo hi; done",
             (struct engine_spec){ .ports = &port,
                                   .port_count = 1,
                                   .environment = environment,
                                   .labels = labels,
                                   .cpu_limit = 0.5,
                                   .memory_limit = 64 << 20,
                                   .restart_policy = "unless-stopped",
                                   .health_command = probe,
                                   .health_interval_ms = 1000,
                                   .health_timeout_ms = 5000,
                                   .health_retries = 2 });
    WAIT_FOR(live_is_health(l, HEALTH_HEALTHY));
    struct engine_container c = live_look(l);
    assert_string_equal(c.id, l->id);
    assert_string_equal(c.name, l->name);
    assert_string_equal(c.image, LIVE_IMAGE);
    assert_true(c.cpu_limit == 0.5 && c.memory_limit == 64 << 20 && c.started_ms >= c.created_ms && c.created_ms > 0);
    assert_string_equal(json_string_value(json_object_get(c.labels, "a.b")), "c");
    char *keys = json_dumps(c.environment_keys, 0);
    assert_non_null(strstr(keys, "TOKEN"));
    assert_null(strstr(keys, "sesame"));
    free(keys);
    json_t *values = NULL;
    OK(l->ops->environment(l->g, l->name, &values, &l->e));
    assert_string_equal(json_str(values, "TOKEN"), "sesame");
    json_decref(values);
    assert_true(*c.ip);
    assert_int_equal(c.port_count, 1);
    assert_string_equal(c.ports[0].host_ip, "127.0.0.1");
    assert_true(c.ports[0].host > 0);
    WAIT_FOR(live_says_hi(c.ports[0].host));
    engine_container_done(&c);
    struct engine_container *list;
    size_t n, found = 0;
    OK(l->ops->list(l->g, &list, &n, &l->e));
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i].id, l->id))
            found += str_eq(list[i].name, l->name) && list[i].health == HEALTH_HEALTHY && list[i].port_count == 1;
    assert_int_equal(found, 1);
    engine_containers_free(list, n);
}

struct text {
    char bytes[3][256];
    int calls;
};

static int keep(void *ctx, enum engine_stream stream, const char *bytes, size_t len)
{
    struct text *t = ctx;
    size_t have = strlen(t->bytes[stream]);
    t->calls++;
    if (have + len >= sizeof(t->bytes[stream]))
        return -1;
    memcpy(t->bytes[stream] + have, bytes, len);
    t->bytes[stream][have + len] = '\0';
    return 0;
}

static bool has_logged(struct live *l, const char *text)
{
    struct text t = { 0 };
    const struct engine_log_request rq = { .want_stdout = true };
    return l->ops->logs(l->g, l->name, &rq, keep, &t, &l->e) == 0 && str_eq(t.bytes[STREAM_STDOUT], text);
}

static void O02_a_log_without_a_terminal_is_exact_and_names_its_streams(void **state)
{
    struct live *l = *state;
    struct text all = { 0 }, last = { 0 }, followed = { 0 };
    live_run(l, "printf HELLO; echo oops >&2; sleep 1; printf '\\nend\\n'", (struct engine_spec){ 0 });
    OK(l->ops->logs(l->g, l->name,
                    &(struct engine_log_request){ .want_stdout = true, .want_stderr = true, .follow = true }, keep,
                    &followed, &l->e)); /* ends with the container */
    assert_string_equal(followed.bytes[STREAM_STDOUT], "HELLO\nend\n");
    assert_string_equal(followed.bytes[STREAM_STDERR], "oops\n");
    WAIT_FOR(live_is_state(l, "exited"));
    OK(l->ops->logs(l->g, l->name, &(struct engine_log_request){ .want_stdout = true }, keep, &all, &l->e));
    assert_string_equal(all.bytes[STREAM_STDOUT], "HELLO\nend\n");
    assert_string_equal(all.bytes[STREAM_STDERR], "");
    OK(l->ops->logs(l->g, l->name, &(struct engine_log_request){ .want_stdout = true, .tail = 1 }, keep, &last, &l->e));
    assert_string_equal(last.bytes[STREAM_STDOUT], "end\n");
}

/* A spec has no terminal (services need none), so this container is made past our code. */
static void O02_a_log_with_a_terminal_is_exact(void **state)
{
    struct live *l = *state;
    struct docker_http *h;
    struct docker_reply reply;
    struct text t = { 0 };
    char path[128];
    static const char body[] = "{\"Image\":\"" LIVE_IMAGE "\",\"Tty\":true,\"Cmd\":[\"printf\",\"HELLO\"]}";
    (void)snprintf(path, sizeof path, "/containers/create?name=%s", l->name);
    struct docker_call call = {
        .method = "POST", .path = path, .body = body, .body_len = sizeof body - 1, .deadline_ms = 10000
    };
    OK(live_http(&h, &l->e));
    OK(docker_http_call(h, &call, &reply, &l->e));
    assert_int_equal(reply.status, 201);
    docker_reply_done(&reply);
    docker_http_free(h);
    OK(l->ops->start(l->g, l->name, &l->e));
    WAIT_FOR(live_is_state(l, "exited"));
    OK(l->ops->logs(l->g, l->name, &(struct engine_log_request){ .want_stdout = true, .want_stderr = true }, keep, &t,
                    &l->e));
    assert_string_equal(t.bytes[STREAM_STDOUT], "HELLO");
}

static void O03_memory_leaves_out_a_written_file_and_cpu_rises(void **state)
{
    struct live *l = *state;
    struct engine_stats before = { 0 }, after = { 0 };
    char path[128];
    long status;
    live_run(l, "dd if=/dev/zero of=/file bs=1M count=200 2>/dev/null; echo written; while :; do :; done",
             (struct engine_spec){ 0 });
    WAIT_FOR(has_logged(l, "written\n"));
    OK(l->ops->stats(l->g, l->name, &before, &l->e));
    WAIT_FOR(l->ops->stats(l->g, l->name, &after, &l->e) == 0 && after.cpu_seconds > before.cpu_seconds + 0.2);
    (void)snprintf(path, sizeof path, "/containers/%s/stats?stream=false", l->name);
    _cleanup_json_ json_t *said = live_raw(l, path, &status);
    double usage = json_num(said, "memory_stats.usage", 0);
    print_message("[ memory   ] engine's usage %.0f, ours %lld\n", usage, (long long)after.memory_used);
    assert_true(usage > 150e6); /* the file's pages are counted there */
    assert_true(after.memory_used > 0 && after.memory_used < 30000000);
    assert_true(after.memory_limit > 0 && after.pids >= 1 && after.cpu_limit_cores >= 1 &&
                after.read_ms > before.read_ms);
}

static void stopping_restarting_renaming_and_removing_are_safe_to_repeat(void **state)
{
    struct live *l = *state;
    struct engine_stats stats;
    struct engine_container c;
    char other[80];
    live_run(l, "trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done", (struct engine_spec){ 0 });
    OK(l->ops->start(l->g, l->name, &l->e));
    c = live_look(l);
    int64_t started = c.started_ms;
    engine_container_done(&c);
    OK(l->ops->restart(l->g, l->name, 5, &l->e));
    c = live_look(l);
    assert_true(c.started_ms > started);
    engine_container_done(&c);
    WAIT_FOR(has_logged(l, "ready\nready\n")); /* before that a signal finds no trap */
    assert_int_equal(l->ops->remove(l->g, l->name, false, &l->e), -(int)ERR_CONFLICT);
    OK(l->ops->stop(l->g, l->name, 5, &l->e));
    OK(l->ops->stop(l->g, l->name, 5, &l->e));
    c = live_look(l);
    assert_string_equal(c.state, "exited");
    assert_int_equal(c.exit_code, 3);
    assert_true(c.finished_ms >= c.started_ms);
    engine_container_done(&c);
    assert_int_equal(l->ops->stats(l->g, l->name, &stats, &l->e), -(int)ERR_CONFLICT);
    (void)snprintf(other, sizeof other, "%s-b", l->name);
    OK(l->ops->rename(l->g, l->name, other, &l->e));
    assert_int_equal(l->ops->inspect(l->g, l->name, &c, &l->e), -(int)ERR_NOT_FOUND);
    OK(l->ops->remove(l->g, other, false, &l->e));
    OK(l->ops->remove(l->g, other, false, &l->e));
    assert_int_equal(l->ops->start(l->g, other, &l->e), -(int)ERR_NOT_FOUND);
}

static void a_name_or_port_that_is_taken_is_a_conflict(void **state)
{
    struct live *l = *state;
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    char words[32], id[65];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    struct engine_port port = { .container = 80, .host = ntohs(at.sin_port) };
    struct engine_spec spec = { .name = l->name, .image = LIVE_IMAGE, .ports = &port, .port_count = 1 };
    const char *command[] = { "sleep", "60", NULL };
    spec.command = command;
    OK(l->ops->create(l->g, &spec, id, &l->e));
    assert_int_equal(l->ops->create(l->g, &spec, id, &l->e), -(int)ERR_CONFLICT);
    assert_int_equal(l->ops->start(l->g, l->name, &l->e), -(int)ERR_CONFLICT);
    (void)snprintf(words, sizeof words, "Port %u ", port.host);
    assert_non_null(strstr(l->e.message, words));
    close(fd);
    OK(l->ops->start(l->g, l->name, &l->e));
}

static void what_is_missing_is_not_found_and_a_failed_start_keeps_its_reason(void **state)
{
    struct live *l = *state;
    struct engine_image image;
    char id[65];
    const char *command[] = { "/no/such/program", NULL };
    struct engine_spec spec = { .name = l->name, .image = "hbcloud-test-nowhere:1", .command = command };
    assert_int_equal(l->ops->create(l->g, &spec, id, &l->e), -(int)ERR_NOT_FOUND);
    assert_int_equal(l->ops->image(l->g, spec.image, &image, &l->e), -(int)ERR_NOT_FOUND);
    spec.image = LIVE_IMAGE;
    OK(l->ops->create(l->g, &spec, id, &l->e));
    assert_int_equal(l->ops->start(l->g, id, &l->e), -(int)ERR_UPSTREAM);
    assert_non_null(strstr(l->e.message, "/no/such/program"));
    struct engine_container c = live_look(l);
    assert_non_null(c.error);
    assert_non_null(strstr(c.error, "/no/such/program"));
    engine_container_done(&c);
}

static void a_volume_outlives_its_container(void **state)
{
    struct live *l = *state;
    char kind[] = "volume", target[] = "/data", path[128];
    struct engine_mount mount = { .kind = kind, .source = l->name, .target = target };
    long status = 0;
    live_run(l, "printf kept >/data/file", (struct engine_spec){ .mounts = &mount, .mount_count = 1 });
    WAIT_FOR(live_is_state(l, "exited"));
    struct engine_container c = live_look(l);
    assert_int_equal(c.mount_count, 1);
    assert_string_equal(c.mounts[0].source, l->name);
    engine_container_done(&c);
    assert_int_equal(l->ops->volume_remove(l->g, l->name, &l->e), -(int)ERR_CONFLICT);
    OK(l->ops->remove(l->g, l->name, true, &l->e));
    (void)snprintf(path, sizeof path, "/volumes/%s", l->name);
    json_decref(live_raw(l, path, &status));
    assert_int_equal(status, 200);
    OK(l->ops->volume_remove(l->g, l->name, &l->e));
    assert_int_equal(l->ops->volume_remove(l->g, l->name, &l->e), -(int)ERR_NOT_FOUND);
}

struct follower {
    struct live *l;
    struct error e;
    int64_t since_ms;
    _Atomic bool stop;
    _Atomic unsigned seen; /* bits of `actions` */
    int result;
};
static const char *const actions[] = { "create", "start", "die", "destroy" };

static int see(void *ctx, const struct engine_event *ev)
{
    struct follower *f = ctx;
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (str_eq(ev->name, f->l->name) && str_eq(ev->action, actions[i]) && ev->at_ms >= f->since_ms)
            f->seen |= 1u << i;
    return 0;
}

static void *follow(void *arg)
{
    struct follower *f = arg;
    f->result = f->l->ops->follow(f->l->g, f->since_ms, see, f, &f->stop, &f->e);
    return NULL;
}

static void events_are_followed_resumed_and_stopped(void **state)
{
    struct live *l = *state;
    pthread_t thread;
    struct follower now = { .l = l, .since_ms = clock_now_ms() };
    assert_int_equal(pthread_create(&thread, NULL, follow, &now), 0);
    live_run(l, "true", (struct engine_spec){ 0 });
    WAIT_FOR(now.seen == 7);
    OK(l->ops->remove(l->g, l->name, true, &l->e));
    WAIT_FOR(now.seen == 15);
    now.stop = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(now.result, 0);
    struct follower later = { .l = l, .since_ms = now.since_ms }; /* what happened before the connection */
    assert_int_equal(pthread_create(&thread, NULL, follow, &later), 0);
    WAIT_FOR(later.seen == 15);
    int64_t from = clock_mono_ms();
    later.stop = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(clock_mono_ms() - from < 500);
}

struct pulled {
    struct engine_progress last;
    int calls;
    bool partly;
};

static int progress(void *ctx, const struct engine_progress *p)
{
    struct pulled *t = ctx;
    t->partly = t->partly || (p->bytes_done > 0 && p->bytes_done < p->bytes_total);
    t->last = *p;
    t->calls++;
    return 0;
}

static bool has_digest(struct live *l, const char *reference, const char *digest)
{
    struct engine_image image;
    size_t i;
    json_t *one;
    bool found = false;
    OK(l->ops->image(l->g, reference, &image, &l->e));
    json_array_foreach (image.digests, i, one)
        found = found || str_ends(json_string_value(one), digest);
    assert_string_equal(image.os, "linux");
    assert_int_equal(json_array_size(image.exposed_ports), 1);
    engine_image_done(&image);
    return found;
}

static void O04_a_pull_from_a_private_registry_by_tag_and_by_digest(void **state)
{
    struct live *l = *state;
    const char *registry = getenv("HB_TEST_REGISTRY");
    char digest[72], by_tag[256], by_digest[256], missing[256];
    struct pulled t = { 0 };
    if (!registry || !*registry) {
        print_message("HB_TEST_REGISTRY is not set: no pull from a registry\n");
        skip();
    }
    live_image_push(registry, l->name, (size_t)20 << 20, digest);
    (void)snprintf(by_tag, sizeof by_tag, "%s/%s:1", registry, l->name);
    (void)snprintf(by_digest, sizeof by_digest, "%s/%s@%s", registry, l->name, digest);
    (void)snprintf(missing, sizeof missing, "%s/%s:2", registry, l->name);
    OK(l->ops->pull(l->g, by_tag, NULL, progress, &t, &l->e));
    assert_true(t.partly && t.last.bytes_total > 20 << 20 && t.last.bytes_done == t.last.bytes_total);
    assert_true(t.last.layers_total >= 1 && t.last.layers_done == t.last.layers_total);
    assert_true(has_digest(l, by_tag, digest));
    OK(l->ops->pull(l->g, by_digest, NULL, NULL, NULL, &l->e));
    assert_true(has_digest(l, by_digest, digest));
    assert_int_equal(l->ops->pull(l->g, missing, NULL, NULL, NULL, &l->e), -(int)ERR_NOT_FOUND);
    live_run(l, "printf HELLO", (struct engine_spec){ .image = by_digest });
    WAIT_FOR(live_is_state(l, "exited"));
}

static const struct CMUnitTest live_tests[] = {
    LIVE(O01_the_engine_tells_its_range_and_what_we_speak_is_in_it),
    LIVE(a_container_lives_as_it_was_asked_for),
    LIVE(O02_a_log_without_a_terminal_is_exact_and_names_its_streams),
    LIVE(O02_a_log_with_a_terminal_is_exact),
    LIVE(O03_memory_leaves_out_a_written_file_and_cpu_rises),
    LIVE(stopping_restarting_renaming_and_removing_are_safe_to_repeat),
    LIVE(a_name_or_port_that_is_taken_is_a_conflict),
    LIVE(what_is_missing_is_not_found_and_a_failed_start_keeps_its_reason),
    LIVE(a_volume_outlives_its_container),
    LIVE(events_are_followed_resumed_and_stopped),
    LIVE(O04_a_pull_from_a_private_registry_by_tag_and_by_digest),
};

int main(void)
{
    return live_main("docker-live", live_tests, ARRAY_LEN(live_tests));
}
