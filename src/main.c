/* The subcommand table, nothing else. */
#include "cli/cli.h"
#include "hub/hub.h"
#include "hub/settings.h"

#include <stdio.h>
#include <string.h>

static int env_example(int argc, char **argv)
{
    (void)argc, (void)argv;
    settings_env_example(stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* Reads and checks the settings as `serve` would, and starts nothing. */
static int config_check(int argc, char **argv)
{
    _cleanup_settings_ struct settings *s = NULL;
    _cleanup_error_ struct error e = ERROR_INIT;
    int r = settings_load(argc, argv, &s, &e);
    if (r == 0)
        r = settings_check(s, &e);
    if (r < 0) {
        (void)fprintf(stderr, "hbcloud: %s\n", e.message);
        return r == -ERR_MALFORMED ? 2 : 1;
    }
    (void)printf("The settings are good%s%s.\n", settings_file(s) ? ": " : "",
                 settings_file(s) ? settings_file(s) : "");
    return 0;
}

/* What is not a client of the API. Everything else is. */
static const struct {
    const char *noun, *verb;
    int (*run)(int argc, char **argv); /* gets what follows the words */
} faces[] = {
    { "serve", NULL, hub_main },
    { "config", "env-example", env_example },
    { "config", "check", config_check },
};

static int wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return 1;
    return 0;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof faces / sizeof *faces && !wants_help(argc, argv); i++) {
        int words = faces[i].verb ? 2 : 1;
        if (argc > words && strcmp(argv[1], faces[i].noun) == 0 &&
            (!faces[i].verb || strcmp(argv[2], faces[i].verb) == 0))
            return faces[i].run(argc - words - 1, argv + words + 1);
    }
    return cli_main(argc, argv);
}
