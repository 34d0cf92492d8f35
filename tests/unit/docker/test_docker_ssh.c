/* SSH: addresses; and with a real server (HB_TEST_SSH_URL an engine's, HB_TEST_SSH_KEY, HB_TEST_SSH_OTHER_KEY one that it
 * refuses, HB_TEST_KNOWN_HOSTS, HB_TEST_SSH_FINGERPRINT, HB_TEST_SSHD_PID) who is trusted, what is said, coming back. */
#include "base/str.h"
#include "integrations/docker/docker.h"
#include "integrations/docker/docker_ssh_session.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void addresses_are_taken_apart(void **state)
{
    static const struct {
        const char *url, *user, *host, *socket;
        unsigned port;
    } good[] = {
        { "ssh://box", NULL, "box", DOCKER_SSH_SOCKET_DEFAULT, 22 },
        { "ssh://box/", NULL, "box", DOCKER_SSH_SOCKET_DEFAULT, 22 },
        { "ssh://me@box.example:2222", "me", "box.example", DOCKER_SSH_SOCKET_DEFAULT, 2222 },
        { "ssh://me@[fe80::1]:23/run/user/1000/docker.sock", "me", "fe80::1", "/run/user/1000/docker.sock", 23 },
        { "ssh://[::1]", NULL, "::1", DOCKER_SSH_SOCKET_DEFAULT, 22 },
        { "ssh://10.0.0.1/run/podman/podman.sock", NULL, "10.0.0.1", "/run/podman/podman.sock", 22 },
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct docker_ssh_address a = { 0 };
        struct error e = ERROR_INIT;
        if (docker_ssh_address_parse(good[i].url, &a, &e) < 0)
            fail_msg("%s", e.message);
        assert_true(str_eq(a.user, good[i].user));
        assert_string_equal(a.host, good[i].host);
        assert_string_equal(a.socket, good[i].socket);
        assert_int_equal(a.port, good[i].port);
        docker_ssh_address_done(&a);
    }
}

static void addresses_that_could_be_options_or_commands_are_refused(void **state)
{
    static const char *const bad[] = { "",
                                       "ssh:/x",
                                       "ssh://",
                                       "ssh://@x",
                                       "ssh://-oProxyCommand=x",
                                       "ssh://a b",
                                       "ssh://a;b",
                                       "ssh://x:0",
                                       "ssh://x:99999",
                                       "ssh://x:",
                                       "ssh://[::1",
                                       "ssh://[::1]x",
                                       "ssh://u ser@x",
                                       "ssh://-u@x",
                                       "ssh://x/a/../b",
                                       "ssh://x/$(a)",
                                       "ssh://x/a b",
                                       "ssh://u:p@x",
                                       "http://x" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct docker_ssh_address a = { 0 };
        if (docker_ssh_address_parse(bad[i], &a, NULL) != -(int)ERR_VALIDATION)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_null(a.host);
    }
}

/* ---- with a real server ---- */

struct live {
    struct docker_engine_options o;
    struct container_engine *g;
    struct error e;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int set_up(void **state)
{
    struct live *l = *state;
    *l = (struct live){ .o = { .host = getenv("HB_TEST_SSH_URL"),
                               .key = { .file = getenv("HB_TEST_SSH_KEY") },
                               .known_hosts_file = getenv("HB_TEST_KNOWN_HOSTS") } };
    return 0;
}

static int tear_down(void **state)
{
    struct live *l = *state;
    if (l->g)
        l->g->ops->free(l->g);
    error_done(&l->e);
    return 0;
}

static int ask(struct live *l)
{
    struct engine_info i;
    return l->g->ops->info(l->g, &i, &l->e);
}

static void opened(struct live *l)
{
    if (docker_engine_open(&l->o, &l->g, &l->e) < 0)
        fail_msg("%s", l->e.message);
}

static void assert_refused(struct live *l, enum error_code code, const char *words)
{
    if (ask(l) != -(int)code || !strstr(l->e.message, words))
        fail_msg("not \"%s\" but %s: %s", words, error_code_name(l->e.code), l->e.message);
}

static void a_host_that_is_not_known_is_refused_and_the_words_say_how_to_accept_it(void **state)
{
    struct live *l = *state;
    l->o.known_hosts_file = "/dev/null";
    opened(l);
    assert_refused(l, ERR_UPSTREAM, "is not known yet");
    assert_non_null(strstr(l->e.message, getenv("HB_TEST_SSH_FINGERPRINT")));
    assert_non_null(strstr(l->e.message, "ssh-keyscan -p "));
}

static void a_host_with_another_key_than_the_known_one_is_refused(void **state)
{
    struct live *l = *state;
    char path[] = "/tmp/hb-known-XXXXXX", line[512] = "", key[400] = "", at[96] = "";
    FILE *known = fopen(l->o.known_hosts_file, "r");
    FILE *public = NULL;
    (void)snprintf(line, sizeof line, "%s.pub", getenv("HB_TEST_SSH_OTHER_KEY"));
    public = fopen(line, "r");
    assert_true(known && fscanf(known, "%95s", at) == 1 && public && fgets(key, sizeof key, public));
    int fd = mkstemp(path);
    assert_true(dprintf(fd, "%s %s", at, key) > 0);
    (void)close(fd);
    (void)fclose(known);
    (void)fclose(public);
    l->o.known_hosts_file = path;
    opened(l);
    assert_refused(l, ERR_UPSTREAM, "is another one");
    (void)unlink(path);
}

static void a_fingerprint_stands_for_known_hosts(void **state)
{
    struct live *l = *state;
    l->o.known_hosts_file = "/dev/null";
    l->o.fingerprint = getenv("HB_TEST_SSH_FINGERPRINT");
    opened(l);
    if (ask(l) < 0)
        fail_msg("%s", l->e.message);
    l->g->ops->free(l->g);
    l->o.fingerprint = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    opened(l);
    assert_refused(l, ERR_UPSTREAM, "and the node's fingerprint is SHA256:AAAA");
}

static void a_key_that_the_host_does_not_take_is_said(void **state)
{
    struct live *l = *state;
    l->o.key.file = getenv("HB_TEST_SSH_OTHER_KEY");
    opened(l);
    assert_refused(l, ERR_UPSTREAM, "refused the SSH login");
    l->g->ops->free(l->g);
    l->o.key.file = l->o.known_hosts_file; /* no key at all */
    opened(l);
    assert_refused(l, ERR_VALIDATION, "SSH key cannot be read");
}

static void a_socket_that_is_not_there_is_said_with_both_ways(void **state)
{
    struct live *l = *state;
    char url[256];
    if (getenv("HB_TEST_SSH_BY_PROGRAM")) {
        print_message("the host's docker program knows its own socket\n");
        skip();
    }
    str_copy(url, sizeof url, l->o.host);
    str_copy(strchr(url + 6, '/'), 32, "/nowhere/docker.sock");
    l->o.host = url;
    opened(l);
    assert_true(ask(l) < 0);
    print_message("[ words    ] %s\n", l->e.message);
    assert_non_null(strstr(l->e.message, "docker")); /* the program's words, or that it is not there */
}

/* Ends the sessions, not the server. */
static int kill_sessions(void)
{
    const long parent = strtol(getenv("HB_TEST_SSHD_PID"), NULL, 10);
    DIR *d = opendir("/proc");
    int killed = 0;
    for (struct dirent *one; d && (one = readdir(d));) {
        char path[300], text[512] = "";
        long pid = strtol(one->d_name, NULL, 10), above = 0;
        (void)snprintf(path, sizeof path, "/proc/%.200s/stat", one->d_name);
        FILE *f = pid > 0 ? fopen(path, "r") : NULL;
        if (f && fgets(text, sizeof text, f) && strrchr(text, ')'))
            (void)sscanf(strrchr(text, ')') + 1, " %*c %ld", &above);
        if (f)
            (void)fclose(f);
        if (above == parent)
            killed += kill((pid_t)pid, SIGKILL) == 0;
    }
    if (d)
        (void)closedir(d);
    return killed;
}

static int stop_never(void *ctx, const struct engine_event *ev)
{
    return 0;
}

struct follower {
    struct container_engine *g;
    _Atomic bool stop;
    _Atomic int result;
    struct error e;
};

static void *follow(void *arg)
{
    struct follower *f = arg;
    f->result = f->g->ops->follow(f->g, 0, stop_never, NULL, &f->stop, &f->e);
    return NULL;
}

static void a_lost_session_ends_its_calls_and_the_next_one_comes_back(void **state)
{
    struct live *l = *state;
    struct follower f = { .result = 1 };
    pthread_t t;
    opened(l);
    assert_int_equal(ask(l), 0);
    f.g = l->g;
    assert_int_equal(pthread_create(&t, NULL, follow, &f), 0);
    (void)usleep(200000);
    int64_t at = now_ms();
    assert_true(kill_sessions() >= 1);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(f.result, -(int)ERR_UNAVAILABLE);
    assert_true(now_ms() - at < 3000);
    int r = -1;
    for (int i = 0; i < 3 && r < 0; i++)
        r = ask(l); /* the first may still have been given a connection of the lost session */
    if (r < 0)
        fail_msg("%s", l->e.message);
    error_done(&f.e);
}

static void *ask_often(void *arg)
{
    struct live *l = arg;
    struct error e = ERROR_INIT;
    long wrong = 0;
    const int times = getenv("HB_TEST_SSH_BY_PROGRAM") ? 1 : 20; /* there each connection starts a program */
    for (int i = 0; i < times; i++) {
        struct engine_container *all;
        size_t n;
        if (l->g->ops->list(l->g, &all, &n, &e) < 0) {
            print_message("[ wrong    ] %s\n", e.message);
            wrong++;
        } else
            engine_containers_free(all, n);
    }
    error_done(&e);
    return (void *)wrong;
}

static int open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (d && readdir(d))
        n++;
    if (d)
        (void)closedir(d);
    return n;
}

static void many_calls_share_one_session_and_nothing_is_left_open(void **state)
{
    struct live *l = *state;
    pthread_t t[24];
    int before = open_files();
    opened(l);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, ask_often, l), 0);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        void *wrong;
        assert_int_equal(pthread_join(t[i], &wrong), 0);
        assert_null(wrong);
    }
    l->g->ops->free(l->g);
    l->g = NULL;
    assert_int_equal(open_files(), before);
}

static void an_engine_whose_host_hangs_can_be_closed(void **state)
{
    struct live *l = *state;
    const pid_t server = (pid_t)strtol(getenv("HB_TEST_SSHD_PID"), NULL, 10);
    opened(l);
    assert_int_equal(kill(server, SIGSTOP), 0);
    int64_t at = now_ms();
    assert_int_equal(ask(l), -(int)ERR_UNAVAILABLE); /* it accepts, and never greets */
    print_message("[ hangs    ] %s (%lld ms)\n", l->e.message, (long long)(now_ms() - at));
    assert_true(now_ms() - at < DOCKER_SSH_DIAL_MS + 2000);
    at = now_ms();
    l->g->ops->free(l->g);
    l->g = NULL;
    assert_true(now_ms() - at < 2000);
    assert_int_equal(kill(server, SIGCONT), 0);
}

#define LIVE(test) { #test, test, set_up, tear_down, NULL }

int main(void)
{
    static struct live live;
    struct CMUnitTest pure[] = { cmocka_unit_test(addresses_are_taken_apart),
                                 cmocka_unit_test(addresses_that_could_be_options_or_commands_are_refused) };
    struct CMUnitTest real[] = { LIVE(a_host_that_is_not_known_is_refused_and_the_words_say_how_to_accept_it),
                                 LIVE(a_host_with_another_key_than_the_known_one_is_refused),
                                 LIVE(a_fingerprint_stands_for_known_hosts),
                                 LIVE(a_key_that_the_host_does_not_take_is_said),
                                 LIVE(a_socket_that_is_not_there_is_said_with_both_ways),
                                 LIVE(many_calls_share_one_session_and_nothing_is_left_open),
                                 LIVE(a_lost_session_ends_its_calls_and_the_next_one_comes_back),
                                 LIVE(an_engine_whose_host_hangs_can_be_closed) };
    for (size_t i = 0; i < ARRAY_LEN(real); i++)
        real[i].initial_state = &live;
    int failed = cmocka_run_group_tests_name("docker-ssh", pure, NULL, NULL);
    return getenv("HB_TEST_SSH_URL") ? failed + cmocka_run_group_tests_name("docker-ssh-live", real, NULL, NULL)
                                     : failed;
}
