/* What may be deployed and when: one at a time, the newest of those that wait, none when an earlier release has lost
 * something. Jobs are never run here, so what has begun stays under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deployment/plan.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

static char dir[64];
static struct vault *vault;
static struct store *store;
static struct events *events;
static struct runtime *runtime;
static struct jobs *jobs;
static struct deployments *d;
static bool has_images;

static int own_info(struct container_engine *g, struct engine_info *ret, struct error *e)
{
    *ret = (struct engine_info){ .kind = "own" };
    return 0;
}

static int own_image(struct container_engine *g, const char *reference, struct engine_image *ret, struct error *e)
{
    if (!has_images)
        return error_set(e, ERR_NOT_FOUND, "There is no image %s.", reference);
    ret->id = strdup("sha256:1");
    return 0;
}

static void own_free(struct container_engine *g) {}

static const struct engine_ops own_ops = { .info = own_info, .image = own_image, .free = own_free };
static struct container_engine engine = { &own_ops };

static void must(int res, struct error *e)
{
    if (res < 0)
        fail_msg("%s", e->message);
}

static void open_hub(void)
{
    struct error e = ERROR_INIT;
    char path[96];
    (void)snprintf(path, sizeof path, "%s/hub.db", dir);
    events = events_new();
    must(vault_open(dir, &vault, &e), &e);
    must(store_open(&(struct store_options){ .path = path }, &store, &e), &e);
    must(runtime_open(
             &(struct runtime_options){
                 .store = store, .events = events, .engine = &engine, .version = "t", .data_directory = dir },
             &runtime, &e),
         &e);
    must(jobs_open(store, 1, true, &jobs, &e), &e);
    must(deployments_open(
             &(struct deployments_options){
                 .store = store, .events = events, .runtime = runtime, .jobs = jobs, .vault = vault },
             &d, &e),
         &e);
}

static void close_hub(void)
{
    jobs_close(jobs);
    deployments_close(d);
    runtime_close(runtime);
    events_free(events);
    store_close(store);
    vault_close(vault);
}

static int start(void **state)
{
    has_images = true;
    str_copy(dir, sizeof dir, "/tmp/hb-queue-XXXXXX");
    assert_non_null(mkdtemp(dir));
    open_hub();
    return 0;
}

static int end(void **state)
{
    close_hub();
    DIR *folder = opendir(dir);
    for (struct dirent *x; folder && (x = readdir(folder));)
        if (x->d_name[0] != '.')
            (void)unlinkat(dirfd(folder), x->d_name, 0);
    (void)closedir(folder);
    (void)rmdir(dir);
    return 0;
}

/* ---- acts ---- */

static json_t *parse(const char *text)
{
    json_t *j = NULL;
    struct error e = ERROR_INIT;
    must(json_parse(text, strlen(text), &j, &e), &e);
    return j;
}

static struct plan new_plan(void)
{
    return (struct plan){ .deployments = d, .trigger = "manual", .initiated_by = "tester", .admin = true };
}

static void create(char ret_id[37])
{
    struct error e = ERROR_INIT;
    _cleanup_json_ json_t *body = parse("{\"name\":\"web\",\"environment\":\"production\",\"container\":{\"image\":"
                                        "\"127.0.0.1:1/web:1\"},\"networking\":{\"internalPort\":80}}");
    struct plan p = new_plan();
    must(plan_create(&p, body, &e), &e);
    must(plan_begin(&p, &e), &e);
    memcpy(ret_id, p.deployment_id, 37);
    plan_done(&p);
}

static void change(const char *patch, char ret_id[37])
{
    struct error e = ERROR_INIT;
    _cleanup_json_ json_t *body = parse(patch);
    const struct deployment_origin by = { .trigger = "manual", .initiated_by = "tester", .admin = true };
    must(deployments_change(d, "web", body, &by, ret_id, &e), &e);
}

static json_t *status_of(const char *id)
{
    struct record r = { 0 };
    struct error e = ERROR_INIT;
    must(record_load(d, id, &r, &e), &e);
    json_t *status = json_incref(json_at(r.document, "status"));
    record_done(&r);
    return status;
}

static void assert_state(const char *id, const char *state)
{
    _cleanup_json_ json_t *status = status_of(id);
    if (!str_eq(json_str(status, "state"), state))
        fail_msg("%s is %s (%s), not %s", id, json_str(status, "state"), json_str(status, "message"), state);
}

static void assert_running(const char *id)
{
    struct error e = ERROR_INIT;
    _cleanup_entity_ struct entity *x = NULL;
    must(runtime_service(runtime, "web", &x, &e), &e);
    assert_string_equal(map_get(d->active, x->id), id);
}

/* Ends it as its job would. */
static void finish(const char *id, const char *state, bool serves)
{
    struct record r = { 0 };
    struct error e = ERROR_INIT;
    char digest[80];
    must(record_load(d, id, &r, &e), &e);
    (void)snprintf(digest, sizeof digest, "sha256:%064d", (int)json_int(r.document, "deployment.release", 0));
    if (serves)
        must(release_mark_serving(d, r.release_id, digest, &e), &e);
    record_end(&r, state, "It ended.");
    must(record_save(d, &r, &e), &e);
    record_forget_live(d, id);
    queue_leave(d, json_str(r.document, "serviceInstanceId"), id);
    record_done(&r);
    usleep(2000); /* the next one serves later, by the clock's milliseconds */
}

#define ENV(name) "{\"container\":{\"environment\":{\"" name "\":\"x\"}}}"

/* ---- queue ---- */

static void the_newest_takes_the_place_of_those_that_wait(void **state)
{
    char first[37], second[37], third[37];
    struct error e = ERROR_INIT;
    create(first);
    change(ENV("A"), second);
    assert_state(second, "initiated");
    change(ENV("B"), third);
    assert_state(second, "superseded");
    _cleanup_json_ json_t *superseded = status_of(second);
    assert_non_null(strstr(json_str(superseded, "message"), third));
    assert_running(first);
    finish(first, "completed", true);
    assert_running(third);
    finish(third, "completed", true);
    assert_int_equal(map_size(d->active), 0);
    /* A superseded change is in what came after it. */
    struct release last = { 0 };
    _cleanup_entity_ struct entity *x = NULL;
    must(runtime_service(runtime, "web", &x, &e), &e);
    must(release_current(d, x->id, &last, &e), &e);
    assert_non_null(json_object_get(last.environment, "A"));
    assert_non_null(json_object_get(last.environment, "B"));
    release_done(&last);
}

static void a_change_that_failed_is_not_in_the_next(void **state)
{
    char first[37], second[37], third[37];
    struct error e = ERROR_INIT;
    create(first);
    finish(first, "completed", true);
    change(ENV("BAD"), second);
    finish(second, "failed", false);
    change(ENV("GOOD"), third);
    struct record r = { 0 };
    struct release made = { 0 };
    must(record_load(d, third, &r, &e), &e);
    must(release_load(d, r.release_id, &made, &e), &e);
    assert_null(json_object_get(made.environment, "BAD"));
    assert_non_null(json_object_get(made.environment, "GOOD"));
    release_done(&made);
    record_done(&r);
}

static void a_hub_that_starts_again_has_the_same_queue(void **state)
{
    char first[37], second[37];
    create(first);
    change(ENV("A"), second);
    close_hub();
    open_hub();
    assert_running(first);
    assert_state(second, "initiated");
    finish(first, "failed", false);
    assert_running(second);
}

static void a_hub_that_died_before_the_job_was_written_begins_after_all(void **state)
{
    char first[37], job[37] = "";
    struct error e = ERROR_INIT;
    struct store_conn *c = NULL;
    struct store_rows *rows = NULL;
    create(first);
    must(store_acquire(store, STORE_WRITE, &c, &e), &e);
    must(store_exec(c, &e, "DELETE FROM jobs", ""), &e);
    must(store_commit(c, &e), &e);
    store_release(c);
    close_hub();
    open_hub();
    assert_running(first);
    must(store_acquire(store, STORE_READ, &c, &e), &e);
    must(store_query(c, &e, &rows, "SELECT id FROM jobs WHERE kind = 'deployment'", ""), &e);
    assert_int_equal(rows_next(rows, &e), 1);
    str_copy(job, sizeof job, rows_text(rows, 0));
    assert_int_equal(rows_next(rows, &e), 0);
    rows_done(rows);
    store_release(c);
    assert_int_equal(strlen(job), 36);
}

static void what_waits_is_cancelled_at_once_and_the_switch_is_the_end_of_it(void **state)
{
    char first[37], second[37];
    struct error e = ERROR_INIT;
    create(first);
    change(ENV("A"), second);
    must(queue_cancel(d, second, "ann", &e), &e);
    assert_state(second, "cancelled");
    assert_false(deployment_cancelled(d, first));
    must(queue_cancel(d, first, "ann", &e), &e);
    assert_true(deployment_cancelled(d, first));
    assert_false(deployment_commit(d, first));
    finish(first, "cancelled", false);
    change(ENV("B"), second);
    assert_true(deployment_commit(d, second));
    assert_int_equal(queue_cancel(d, second, "ann", &e), -ERR_CONFLICT);
    assert_false(deployment_cancelled(d, second));
    close_hub();
    open_hub();
    assert_false(deployment_cancelled(d, second)); /* what was refused is not obeyed later */
    assert_int_equal(queue_cancel(d, first, "ann", &e), -ERR_CONFLICT);
    assert_non_null(strstr(e.message, "has ended"));
    error_done(&e);
}

static void a_wish_to_cancel_outlives_the_hub(void **state)
{
    char first[37];
    struct error e = ERROR_INIT;
    create(first);
    must(queue_cancel(d, first, "ann", &e), &e);
    close_hub();
    open_hub();
    assert_true(deployment_cancelled(d, first));
}

static void a_service_is_free_when_its_last_deployment_is_about_to_say_that_it_ended(void **state)
{
    char first[37], second[37];
    struct error e = ERROR_INIT;
    _cleanup_entity_ struct entity *x = NULL;
    create(first);
    must(runtime_service(runtime, "web", &x, &e), &e);
    assert_true(queue_busy(d, x->id));
    queue_ending(d, first);
    assert_false(queue_busy(d, x->id));
    change(ENV("A"), second); /* it waits until the first has left */
    assert_true(queue_busy(d, x->id));
    finish(first, "completed", true);
    assert_true(queue_busy(d, x->id));
    assert_running(second);
}

/* ---- rollback ---- */

static int roll_back(int number, struct error *e)
{
    struct plan p = new_plan();
    int r = plan_rollback(&p, "web", number, e);
    if (r == 0) {
        assert_string_equal(
            json_str(p.request, "container.image"),
            "127.0.0.1:1/web:1@sha256:0000000000000000000000000000000000000000000000000000000000000001");
        assert_null(json_at(p.request, "container.environment.A"));
    }
    plan_done(&p);
    return r;
}

static void a_rollback_is_refused_beforehand_with_the_reason(void **state)
{
    char id[37];
    struct error e = ERROR_INIT;
    create(id);
    finish(id, "completed", true);
    assert_int_equal(roll_back(0, &e), -ERR_CONFLICT);
    assert_non_null(strstr(e.message, "nothing to go back to"));
    change(ENV("A"), id);
    finish(id, "completed", true);
    must(roll_back(0, &e), &e);
    must(roll_back(1, &e), &e);
    assert_int_equal(roll_back(7, &e), -ERR_NOT_FOUND);
    change(ENV("B"), id);
    finish(id, "failed", false);
    assert_int_equal(roll_back(3, &e), -ERR_CONFLICT);
    assert_non_null(strstr(e.message, "never served"));
    has_images = false;
    assert_int_equal(roll_back(1, &e), -ERR_CONFLICT);
    assert_non_null(strstr(e.message, "image is not on the node"));
    error_done(&e);
}

/* ---- rules and strategies ---- */

static void rules_name_the_field(void **state)
{
    static const struct {
        const char *request, *pointer;
        int code;
    } cases[] = {
        { "{\"container\":{\"privileged\":true}}", "/container/privileged", ERR_FORBIDDEN },
        { "{\"container\":{\"volumes\":[{\"source\":\"/var/../run//docker.sock\",\"target\":\"/s\"}]}}",
          "/container/volumes/0", ERR_FORBIDDEN },
        { "{\"container\":{\"volumes\":[{\"source\":\"/run/\",\"target\":\"/s\"}]}}", "/container/volumes/0",
          ERR_FORBIDDEN },
        { "{\"container\":{\"ports\":[{\"container\":1,\"address\":\"any\"}]}}", "/container/ports/0", ERR_FORBIDDEN },
        { "{\"container\":{\"ipcMode\":\"host\"}}", "/container/ipcMode", ERR_FORBIDDEN },
        { "{\"container\":{\"volumes\":[{\"source\":\"a\",\"target\":\"/d\"}],\"tmpfs\":[{\"target\":\"/d\"}]}}",
          "/container/tmpfs/0/target", ERR_VALIDATION },
        { "{\"container\":{\"name\":\"x\"},\"instances\":2}", "/instances", ERR_VALIDATION },
        { "{\"lifecycle\":\"job\",\"instances\":2}", "/instances", ERR_VALIDATION },
        { "{\"networking\":{\"domains\":[\"a.example\"]}}", "/networking/internalPort", ERR_VALIDATION },
        { "{\"container\":{\"networkMode\":\"none\",\"networks\":[{\"name\":\"n\"}]}}", "/container/networks",
          ERR_VALIDATION },
        { "{\"dependsOn\":[{\"service\":\"ghost\"}]}", "/dependsOn/0/service", ERR_VALIDATION },
        { "{\"name\":\"web\",\"dependsOn\":[{\"service\":\"web\"}]}", "/dependsOn/0/service", ERR_VALIDATION },
        { "{\"placement\":{\"nodes\":[\"ghost\"]}}", "/placement/nodes/0", ERR_VALIDATION },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error e = ERROR_INIT;
        _cleanup_json_ json_t *request = parse(cases[i].request);
        assert_int_equal(rules_check(d, request, NULL, false, &e), -cases[i].code);
        if (!json_object_get(e.details, cases[i].pointer))
            fail_msg("%s: %s is not named", cases[i].request, cases[i].pointer);
        error_done(&e);
        /* What it has already may stay, whoever changes the rest. */
        if (cases[i].code == ERR_FORBIDDEN)
            must(rules_check(d, request, request, false, &e), &e);
    }
}

static void a_strategy_is_chosen_and_its_reason_said(void **state)
{
#define VOLUME "{\"container\":{\"volumes\":[{\"source\":\"data\",\"target\":\"/d\"}]}}"
#define PORT "{\"container\":{\"ports\":[{\"container\":1,\"host\":99,\"protocol\":\"tcp\"}]}}"
    static const struct {
        const char *now, *old, *type, *reason;
    } cases[] = {
        { "{}", "{}", "blue-green", "beside the old" },
        { VOLUME, VOLUME, "recreate", "volume data" },
        { VOLUME, "{}", "blue-green", "" },
        { PORT, PORT, "recreate", "port 99" },
        { PORT, "{}", "blue-green", "" },
        { "{\"container\":{\"name\":\"x\"}}", "{}", "recreate", "x is fixed" },
        { "{\"strategy\":{\"type\":\"rolling\"}}", "{}", "rolling", "asks for it" },
        { "{\"strategy\":{\"type\":\"rolling\"},\"container\":{\"name\":\"x\"}}", "{}", "recreate", "x is fixed" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char reason[512] = "";
        _cleanup_json_ json_t *now = parse(cases[i].now), *old = parse(cases[i].old);
        assert_string_equal(strategy_of(now, old, reason, sizeof reason), cases[i].type);
        if (!strstr(reason, cases[i].reason))
            fail_msg("%s: %s", cases[i].now, reason);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_newest_takes_the_place_of_those_that_wait),
        CASE(a_change_that_failed_is_not_in_the_next),
        CASE(a_hub_that_starts_again_has_the_same_queue),
        CASE(a_hub_that_died_before_the_job_was_written_begins_after_all),
        CASE(what_waits_is_cancelled_at_once_and_the_switch_is_the_end_of_it),
        CASE(a_wish_to_cancel_outlives_the_hub),
        CASE(a_service_is_free_when_its_last_deployment_is_about_to_say_that_it_ended),
        CASE(a_rollback_is_refused_beforehand_with_the_reason),
        CASE(rules_name_the_field),
        CASE(a_strategy_is_chosen_and_its_reason_said),
    };
    return cmocka_run_group_tests_name("deployment queue", tests, NULL, NULL);
}
