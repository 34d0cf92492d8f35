/* Deliveries of CI from outside: no body, header or payload crashes their readers, and no fact is without what its kind needs. */
#include "base/json.h"
#include "base/str.h"
#include "integrations/github/github.h"
#include "integrations/travis/travis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check_fact(void *ctx UNUSED, const struct ci_fact *f, struct error *e UNUSED)
{
    bool good = f->kind != CI_IGNORED || f->reason;
    if (f->kind == CI_RUN || f->kind == CI_JOB || f->kind == CI_CHECK)
        good = f->id[0] && memchr(f->id, '\0', sizeof f->id) && f->repository &&
               (f->state == CI_ENDED) == (f->conclusion != NULL);
    if (f->kind == CI_PUSH)
        good = f->commit && (f->branch || f->tag);
    if (f->kind == CI_IMAGE)
        good = f->name && f->tag;
    if (!good)
        abort();
    return 0;
}

static void read_payload(const char *text, size_t len, unsigned which)
{
    static const char *const events[] = {
        "push",    "workflow_run",     "workflow_job", "check_run", "status", "deployment", "deployment_status",
        "package", "registry_package", "ping",         "other"
    };
    struct error e = ERROR_INIT;
    _cleanup_json_ json_t *x = NULL;
    if (json_parse(text, len, &x, &e) == 0) {
        (void)github_read(events[which % ARRAY_LEN(events)], x, check_fact, NULL, &e);
        (void)travis_read(x, check_fact, NULL, &e);
        (void)travis_read_build(x, "o/r", check_fact, NULL, &e);
    }
    error_done(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error e = ERROR_INIT;
    if (size == 0)
        return 0;
    char *text = malloc(size), *field = NULL;
    size_t len = 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    read_payload(text, size - 1, data[0]);
    if (ci_form_field(text, size - 1, "payload", &field, &len, &e) == 0) {
        if (field[len] != '\0' || len > size)
            abort();
        read_payload(field, len, data[0]);
        free(field);
    }
    struct secret *key = secret_new("k", 1);
    (void)github_check_signature(key, text, text, size - 1, &e);
    (void)travis_check_signature("", text, text, size - 1, &e);
    (void)ci_repository_ok(text);
    secret_free(key);
    error_done(&e);
    free(text);
    return 0;
}
