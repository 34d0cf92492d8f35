/* Against a real engine: what an owner may ask for beyond the standards, volumes, networks, files, images, and a
 * registry with a login (HB_TEST_PRIVATE_IMAGE "host:port/name:tag", its login HB_TEST_PRIVATE_LOGIN "user:password"). */
#include "live.h"
#include "live_image.h"

#include <errno.h>

static const char *idle[] = { "sleep", "30", NULL };

static json_t *inspect(struct live *l)
{
    char path[128];
    long status;
    (void)snprintf(path, sizeof path, "/containers/%s/json", l->name);
    json_t *said = live_raw(l, path, &status);
    assert_int_equal(status, 200);
    return said;
}

static void assert_json(const json_t *said, const char *path, const char *want)
{
    char *got = json_dumps(json_at(said, path), JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    if (!got || !str_eq(got, want))
        fail_msg("%s is %s, not %s", path, got ? got : "absent", want);
    free(got);
}

static void what_an_owner_asks_for_is_what_the_engine_has(void **state)
{
    struct live *l = *state;
    char kind[] = "tmpfs", target[] = "/scratch";
    struct engine_mount scratch = { .kind = kind, .target = target };
    _cleanup_json_ json_t *hosts = json_pack("[s]", "db.example:10.1.2.3"), *dns = json_pack("[s]", "9.9.9.9");
    _cleanup_json_ json_t *add = json_pack("[s]", "SYS_NICE"), *drop = json_pack("[s]", "MKNOD");
    _cleanup_json_ json_t *security = json_pack("[s]", "no-new-privileges");
    _cleanup_json_ json_t *devices = json_pack("[{s:s,s:s}]", "source", "/dev/null", "permissions", "r");
    _cleanup_json_ json_t *sysctls = json_pack("{s:s}", "net.ipv4.ip_unprivileged_port_start", "80");
    _cleanup_json_ json_t *ulimits = json_pack("[{s:s,s:i,s:i}]", "name", "nofile", "soft", 512, "hard", 1024);
    live_run(l, "id -u; pwd; hostname; grep -c db.example /etc/hosts; touch /x 2>/dev/null || echo closed",
             (struct engine_spec){ .user = "7:8",
                                   .working_directory = "/tmp",
                                   .hostname = "box",
                                   .stop_signal = "SIGINT",
                                   .stop_grace_s = 3,
                                   .extra_hosts = hosts,
                                   .dns = dns,
                                   .capabilities_added = add,
                                   .capabilities_dropped = drop,
                                   .security_options = security,
                                   .devices = devices,
                                   .sysctls = sysctls,
                                   .ulimits = ulimits,
                                   .ipc_mode = "private",
                                   .pid_mode = "host",
                                   .shm_size = 8 << 20,
                                   .pids_limit = 50,
                                   .mounts = &scratch,
                                   .mount_count = 1,
                                   .restart_policy = "on-failure",
                                   .read_only_root = true,
                                   .tty = true,
                                   .stdin_open = true });
    _cleanup_json_ json_t *said = inspect(l);
    static const char *const want[][2] = {
        { "Config.User", "\"7:8\"" },
        { "Config.WorkingDir", "\"/tmp\"" },
        { "Config.Hostname", "\"box\"" },
        { "Config.StopSignal", "\"SIGINT\"" },
        { "Config.StopTimeout", "3.0" },
        { "Config.Tty", "true" },
        { "Config.OpenStdin", "true" },
        { "HostConfig.ExtraHosts", "[\"db.example:10.1.2.3\"]" },
        { "HostConfig.Dns", "[\"9.9.9.9\"]" },
        { "HostConfig.Devices",
          "[{\"CgroupPermissions\":\"r\",\"PathInContainer\":\"/dev/null\",\"PathOnHost\":\"/dev/null\"}]" },
        { "HostConfig.Sysctls", "{\"net.ipv4.ip_unprivileged_port_start\":\"80\"}" },
        { "HostConfig.Ulimits", "[{\"Hard\":1024.0,\"Name\":\"nofile\",\"Soft\":512.0}]" },
        { "HostConfig.IpcMode", "\"private\"" },
        { "HostConfig.PidMode", "\"host\"" },
        { "HostConfig.ShmSize", "8388608.0" },
        { "HostConfig.PidsLimit", "50.0" },
        { "HostConfig.ReadonlyRootfs", "true" },
        { "HostConfig.Privileged", "false" },
    };
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_json(said, want[i][0], want[i][1]);
    /* With the host's PIDs the engine adds one of its own. */
    assert_string_equal(json_string_value(json_array_get(json_at(said, "HostConfig.SecurityOpt"), 0)),
                        "no-new-privileges");
    assert_non_null(strstr(json_string_value(json_array_get(json_at(said, "HostConfig.CapAdd"), 0)), "SYS_NICE"));
    assert_non_null(strstr(json_string_value(json_array_get(json_at(said, "HostConfig.CapDrop"), 0)), "MKNOD"));
    struct engine_container c = live_look(l);
    assert_int_equal(c.mount_count, 1);
    assert_string_equal(c.mounts[0].kind, "tmpfs");
    engine_container_done(&c);
}

static void an_init_and_privileges_are_asked_for(void **state)
{
    struct live *l = *state;
    struct engine_spec spec = { .name = l->name,
                                .image = LIVE_IMAGE,
                                .command = idle,
                                .privileged = true,
                                .init = true,
                                .gpus = -1,
                                .network_mode = "none" };
    OK(l->ops->create(l->g, &spec, l->id, &l->e)); /* not started: an engine in a test need not be able to */
    _cleanup_json_ json_t *said = inspect(l);
    assert_json(said, "HostConfig.Privileged", "true");
    assert_json(said, "HostConfig.Init", "true");
    assert_json(said, "HostConfig.NetworkMode", "\"none\"");
    const json_t *gpu = json_array_get(json_at(said, "HostConfig.DeviceRequests"), 0);
    assert_json(gpu, "Count", "-1.0");
    assert_json(gpu, "Capabilities", "[[\"gpu\"]]");
}

static void networks_are_joined_with_their_aliases_before_the_start(void **state)
{
    struct live *l = *state;
    char first[80], second[80];
    (void)snprintf(first, sizeof first, "%s-a", l->name);
    (void)snprintf(second, sizeof second, "%s-b", l->name);
    _cleanup_json_ json_t *labels = json_pack("{s:s}", "hbcloud.service", "web");
    for (int i = 0; i < 2; i++) { /* ensuring is repeatable */
        OK(l->ops->network_ensure(l->g, first, false, labels, &l->e));
        OK(l->ops->network_ensure(l->g, second, true, labels, &l->e));
    }
    assert_int_equal(l->ops->network_ensure(l->g, second, false, labels, &l->e), -(int)ERR_CONFLICT);
    struct engine_network *all;
    size_t n, found = 0;
    OK(l->ops->networks(l->g, &all, &n, &l->e));
    for (size_t i = 0; i < n; i++)
        if (str_eq(json_str(all[i].labels, "hbcloud.service"), "web") ||
            json_object_get(all[i].labels, "hbcloud.service"))
            found += str_eq(all[i].driver, "bridge") && *all[i].id &&
                     (str_eq(all[i].name, first) ? !all[i].internal : str_eq(all[i].name, second) && all[i].internal);
    engine_networks_free(all, n);
    assert_int_equal(found, 2);
    _cleanup_json_ json_t *networks = json_pack("[{s:s,s:[s,s]},{s:s,s:[s]}]", "name", first, "aliases", "db", "store",
                                                "name", second, "aliases", "inner");
    struct engine_spec spec = { .name = l->name, .image = LIVE_IMAGE, .networks = networks, .command = idle };
    OK(l->ops->create(l->g, &spec, l->id, &l->e));
    OK(l->ops->start(l->g, l->id, &l->e));
    _cleanup_json_ json_t *said = inspect(l);
    const json_t *joined = json_at(said, "NetworkSettings.Networks");
    assert_int_equal(json_object_size(joined), 2);
    char *one = json_dumps(json_object_get(json_object_get(joined, first), "Aliases"), 0);
    char *two = json_dumps(json_object_get(json_object_get(joined, second), "Aliases"), 0);
    assert_true(strstr(one, "\"db\"") && strstr(one, "\"store\"") && strstr(two, "\"inner\""));
    free(one);
    free(two);
    assert_int_equal(l->ops->network_remove(l->g, first, &l->e), -(int)ERR_CONFLICT); /* in use */
    OK(l->ops->remove(l->g, l->id, true, &l->e));
    for (int i = 0; i < 2; i++) {
        OK(l->ops->network_remove(l->g, first, &l->e));
        OK(l->ops->network_remove(l->g, second, &l->e));
    }
}

/* Engines look for it when the container starts. */
static void a_network_that_is_not_there_is_named_by_the_start(void **state)
{
    struct live *l = *state;
    char first[80];
    (void)snprintf(first, sizeof first, "%s-a", l->name);
    OK(l->ops->network_ensure(l->g, first, false, NULL, &l->e));
    _cleanup_json_ json_t *networks = json_pack("[{s:s},{s:s}]", "name", first, "name", "hb-there-is-none");
    struct engine_spec spec = { .name = l->name, .image = LIVE_IMAGE, .command = idle, .networks = networks };
    OK(l->ops->create(l->g, &spec, l->id, &l->e));
    assert_int_equal(l->ops->start(l->g, l->id, &l->e), -(int)ERR_NOT_FOUND);
    assert_non_null(strstr(l->e.message, "hb-there-is-none"));
    OK(l->ops->remove(l->g, l->id, true, &l->e));
    OK(l->ops->network_remove(l->g, first, &l->e));
}

static void volumes_are_ensured_listed_and_outlive_containers(void **state)
{
    struct live *l = *state;
    struct engine_volume *all;
    size_t n, found = 0;
    _cleanup_json_ json_t *labels = json_pack("{s:s,s:s}", "hbcloud.service", "web", "environment", "production");
    OK(l->ops->volume_ensure(l->g, l->name, labels, &l->e));
    OK(l->ops->volume_ensure(l->g, l->name, labels, &l->e));
    OK(l->ops->volumes(l->g, &all, &n, &l->e));
    for (size_t i = 0; i < n; i++)
        if (str_eq(all[i].name, l->name))
            found += str_eq(all[i].driver, "local") && all[i].mountpoint &&
                     str_eq(json_str(all[i].labels, "environment"), "production");
    engine_volumes_free(all, n);
    assert_int_equal(found, 1);
    OK(l->ops->volume_remove(l->g, l->name, &l->e));
    assert_int_equal(l->ops->volume_remove(l->g, l->name, &l->e), -(int)ERR_NOT_FOUND);
}

static bool has_logged(struct live *l, const char *text);

static struct engine_spec reader(struct live *l, const char **command)
{
    return (struct engine_spec){ .name = l->name, .image = LIVE_IMAGE, .command = command ? command : idle };
}

static void a_file_is_put_before_the_start_where_no_folder_was(void **state)
{
    struct live *l = *state;
    const char *command[] = { "sh", "-c", "cat /run/secrets/deep/token; stat -c %a:%u /run/secrets/deep/token", NULL };
    struct engine_spec spec = reader(l, command);
    OK(l->ops->create(l->g, &spec, l->id, &l->e));
    OK(l->ops->put_file(l->g, l->id, "/run/secrets/deep/token", 0440, "sesame\n", 7, &l->e));
    OK(l->ops->put_file(l->g, l->id, "/run/secrets/deep/token", 0400, "second\n", 7, &l->e));
    OK(l->ops->start(l->g, l->id, &l->e));
    WAIT_FOR(has_logged(l, "second\n400:0\n"));
}

static void files_that_cannot_be_put_are_refused(void **state)
{
    static const char *const bad[] = { "relative", "/", "/a/../b", "/a//b", "/a/", "/.", "/a\nb", "", NULL };
    struct live *l = *state;
    struct engine_spec spec = reader(l, NULL);
    OK(l->ops->create(l->g, &spec, l->id, &l->e));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (l->ops->put_file(l->g, l->id, bad[i], 0400, "x", 1, &l->e) != -(int)ERR_VALIDATION)
            fail_msg("\"%s\" was taken", bad[i] ? bad[i] : "NULL");
    assert_true(l->ops->put_file(l->g, l->id, "/bin", 0400, "x", 1, &l->e) < 0); /* a folder stays one */
    assert_int_equal(l->ops->put_file(l->g, "hb-there-is-none", "/tmp/x", 0400, "x", 1, &l->e), -(int)ERR_NOT_FOUND);
}

struct archive {
    size_t bytes;
    char head[600];
};

static int archive_in(void *ctx, const void *bytes, size_t len)
{
    struct archive *a = ctx;
    for (size_t i = 0; i < len && a->bytes + i < sizeof a->head; i++)
        a->head[a->bytes + i] = ((const char *)bytes)[i];
    a->bytes += len;
    return 0;
}

static int archive_stop(void *ctx UNUSED, const void *bytes UNUSED, size_t len UNUSED)
{
    return -EINTR;
}

static void a_path_comes_out_as_a_tar(void **state)
{
    struct live *l = *state;
    struct archive a = { 0 };
    static char big[3 << 20];
    struct engine_spec spec = reader(l, NULL);
    memset(big, 'b', sizeof big);
    OK(l->ops->create(l->g, &spec, l->id, &l->e));
    OK(l->ops->put_file(l->g, l->id, "/data & more/file", 0600, big, sizeof big, &l->e));
    OK(l->ops->get_archive(l->g, l->id, "/data & more/file", archive_in, &a, &l->e));
    assert_true(a.bytes > sizeof big);
    assert_string_equal(a.head, "file");
    assert_memory_equal(a.head + 512, "bbbb", 4);
    assert_int_equal(l->ops->get_archive(l->g, l->id, "/data & more", archive_stop, NULL, &l->e), -EINTR);
    assert_int_equal(l->ops->get_archive(l->g, l->id, "/nowhere", archive_in, &a, &l->e), -(int)ERR_NOT_FOUND);
}

static void images_are_tagged_and_removed(void **state)
{
    struct live *l = *state;
    struct engine_image image;
    char reference[128];
    (void)snprintf(reference, sizeof reference, "hbcloud-pinned/%s:r1", l->name);
    OK(l->ops->image(l->g, LIVE_IMAGE, &image, &l->e));
    (void)snprintf(reference, sizeof reference, "hbcloud-pinned/%s", l->name);
    OK(l->ops->image_tag(l->g, image.id, reference, "r1", &l->e));
    (void)snprintf(reference, sizeof reference, "hbcloud-pinned/%s:r1", l->name);
    struct engine_image again;
    OK(l->ops->image(l->g, reference, &again, &l->e));
    assert_string_equal(again.id, image.id);
    engine_image_done(&again);
    engine_image_done(&image);
    OK(l->ops->image_remove(l->g, reference, &l->e));
    OK(l->ops->image_remove(l->g, reference, &l->e));
    assert_int_equal(l->ops->image(l->g, reference, &image, &l->e), -(int)ERR_NOT_FOUND);
    OK(l->ops->image(l->g, LIVE_IMAGE, &image, &l->e)); /* only the name went */
    engine_image_done(&image);
}

static void a_private_image_needs_its_login_and_the_refusal_says_so(void **state)
{
    struct live *l = *state;
    const char *reference = getenv("HB_TEST_PRIVATE_IMAGE"), *login = getenv("HB_TEST_PRIVATE_LOGIN");
    char user[64], registry[128];
    if (!reference || !login) {
        print_message("HB_TEST_PRIVATE_IMAGE is not set: no pull with a login\n");
        skip();
    }
    const char *password = strchr(login, ':') + 1;
    str_copy(user, sizeof user, login);
    user[strcspn(user, ":")] = '\0';
    str_copy(registry, sizeof registry, reference);
    registry[strcspn(registry, "/")] = '\0';
    _cleanup_secret_ struct secret *right = secret_new(password, strlen(password)), *wrong = secret_new("canary-77", 9);
    const struct engine_credentials good = { .username = user, .registry = registry, .password = right };
    const struct engine_credentials bad = { .username = user, .registry = registry, .password = wrong };
    assert_int_equal(l->ops->pull(l->g, reference, NULL, NULL, NULL, &l->e), -(int)ERR_UPSTREAM);
    assert_non_null(strstr(l->e.message, "wants a login"));
    if (!getenv("HB_TEST_PORTAINER_URL")) { /* which sends a login of its own */
        assert_int_equal(l->ops->pull(l->g, reference, &bad, NULL, NULL, &l->e), -(int)ERR_UPSTREAM);
        assert_non_null(strstr(l->e.message, "The registry refused the login of "));
    }
    assert_null(strstr(l->e.message, "canary-77"));
    OK(l->ops->pull(l->g, reference, &good, NULL, NULL, &l->e));
    OK(l->ops->image_remove(l->g, reference, &l->e)); /* the next engine pulls it anew */
}

static int log_in(void *ctx, enum engine_stream stream UNUSED, const char *bytes, size_t len)
{
    return buf_append(ctx, bytes, len);
}

static bool has_logged(struct live *l, const char *text)
{
    struct buf log;
    buf_init(&log, 4096);
    const struct engine_log_request rq = { .want_stdout = true, .want_stderr = true };
    bool same = l->ops->logs(l->g, l->name, &rq, log_in, &log, &l->e) == 0 && str_eq(buf_str(&log), text);
    buf_done(&log);
    return same;
}

static const struct CMUnitTest live_tests[] = {
    LIVE(what_an_owner_asks_for_is_what_the_engine_has),
    LIVE(an_init_and_privileges_are_asked_for),
    LIVE(networks_are_joined_with_their_aliases_before_the_start),
    LIVE(a_network_that_is_not_there_is_named_by_the_start),
    LIVE(volumes_are_ensured_listed_and_outlive_containers),
    LIVE(a_file_is_put_before_the_start_where_no_folder_was),
    LIVE(files_that_cannot_be_put_are_refused),
    LIVE(a_path_comes_out_as_a_tar),
    LIVE(images_are_tagged_and_removed),
    LIVE(a_private_image_needs_its_login_and_the_refusal_says_so),
};

int main(void)
{
    return live_main("docker-objects", live_tests, ARRAY_LEN(live_tests));
}
