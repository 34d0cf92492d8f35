/* Any text as a Compose project: refused with a reason, or services that have a name and an image, each behind what it
 * depends on. The same text as a value with variables, as a file of variables and as a command line. */
#include "base/json.h"
#include "base/str.h"
#include "cli/compose/compose_form.h"
#include "cli/compose/compose_request.h"
#include "cli/compose/compose_text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void read_texts(const char *text)
{
    struct error e = ERROR_INIT;
    _cleanup_json_ json_t *variables = json_pack("{s:s, s:s}", "A", "a$b", "EMPTY", ""), *unset = json_object();
    char *value = NULL;
    int64_t n = 0;
    if (compose_interpolate(text, variables, unset, &value, &e) == 0)
        check(strlen(value) <= COMPOSE_TEXT_MAX);
    free(value);
    for (int raw = 0; raw < 2; raw++) {
        _cleanup_json_ json_t *out = json_object();
        if (compose_read_variables(text, variables, raw, out, &e) < 0)
            check(e.message[0]);
    }
    json_t *words = NULL;
    if (compose_split_words(text, &words, &e) == 0)
        check(json_is_array(words));
    json_decref(words);
    if (compose_duration_ms(text, &n) == 0 || compose_bytes(text, &n) == 0)
        check(n >= 0);
    error_done(&e);
}

static void check_order(const json_t *services)
{
    _cleanup_json_ json_t *seen = json_object();
    size_t i, k;
    json_t *one, *d;
    json_array_foreach (services, i, one) {
        check(json_str(one, "name") && json_str(one, "container.image"));
        json_array_foreach (json_object_get(one, "dependsOn"), k, d)
            check(json_object_get(seen, json_str(d, "service")) != NULL);
        (void)json_object_set_new(seen, json_str(one, "name"), json_true());
    }
}

static void read_project(const char *path)
{
    struct compose_options options = { .files = { path }, .n_files = 1, .project = "p", .profiles = { "*" } };
    struct compose project = { 0 };
    struct compose_import import = { 0 };
    struct error e = ERROR_INIT;
    options.n_profiles = 1;
    if (compose_load(&options, &project, &e) < 0) {
        check(e.message[0] && !project.model);
    } else if (compose_to_requests(&project, "p", &import, &e) < 0) {
        check(e.message[0] && !import.services);
    } else {
        check(json_array_size(import.services) == json_object_size(json_object_get(project.model, "services")));
        check_order(import.services);
    }
    compose_import_done(&import);
    compose_done(&project);
    error_done(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("compose", MFD_CLOEXEC);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    char *text = strndup((const char *)data, size);
    check(fd >= 0 && text && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    read_texts(text);
    read_project(path);
    free(text);
    return 0;
}
