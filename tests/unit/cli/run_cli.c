#include "run_cli.h"

#include <ftw.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 64

struct ran run_cli(const char *words, const char *input)
{
    struct ran r = { 0 };
    size_t out_len, err_len;
    char *copy = strdup(words), *rest = NULL, *argv[WORDS_MAX + 1];
    int argc = 0;
    struct cli *c = calloc(1, sizeof *c);
    assert(copy && c);
    for (char *w = strtok_r(copy, " ", &rest); w && argc < WORDS_MAX; w = strtok_r(NULL, " ", &rest))
        argv[argc++] = w;
    argv[argc] = NULL;
    c->out = open_memstream(&r.out, &out_len);
    c->err = open_memstream(&r.err, &err_len);
    c->in = input && *input ? fmemopen((void *)(uintptr_t)input, strlen(input), "r") : fopen("/dev/null", "r");
    assert(c->out && c->err && c->in);
    r.status = cli_run(c, argc, argv);
    (void)fclose(c->out);
    (void)fclose(c->err);
    (void)fclose(c->in);
    free(c);
    free(copy);
    return r;
}

void ran_done(struct ran *r)
{
    free(r->out);
    free(r->err);
    *r = (struct ran){ 0 };
}

static char home[64];

static int remove_one(const char *path, const struct stat *st UNUSED, int flag UNUSED, struct FTW *at UNUSED)
{
    return remove(path);
}

const char *fresh_home(void)
{
    static const char *const ours[] = { "HBCLOUD_URL", "HBCLOUD_API_KEY", "HBCLOUD_DATA", "XDG_CONFIG_HOME",
                                        "XDG_DATA_HOME" };
    if (*home)
        (void)nftw(home, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    strcpy(home, "/tmp/hbcloud-cli-XXXXXX");
    if (!mkdtemp(home) || chdir(home) < 0)
        abort();
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        (void)unsetenv(ours[i]);
    (void)setenv("HOME", home, 1);
    (void)setenv("LC_ALL", "C", 1); /* marks in ASCII */
    return home;
}
