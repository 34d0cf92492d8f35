#include "hub/internal.h"

#include "integrations/github/github.h"
#include "integrations/travis/travis.h"

static void free_sources(struct ci_options *o)
{
    for (size_t i = 0; i < CI_SOURCES_MAX && o->sources[i]; i++)
        o->sources[i]->ops->free(o->sources[i]);
}

int hub_open_ci(struct hub *h, struct error *e)
{
    struct ci_options o = { .store = h->store,
                            .vault = h->vault,
                            .events = h->events,
                            .jobs = h->jobs,
                            .runtime = h->runtime,
                            .deployments = h->deployments };
    const struct github_options github = { .webhook_secret = settings_secret(h->settings, "github.webhook_secret"),
                                           .token = settings_secret(h->settings, "github.token"),
                                           .base_url = settings_str(h->settings, "github.base_url") };
    const struct travis_options travis = { .token = settings_secret(h->settings, "travis.token"),
                                           .base_url = settings_str(h->settings, "travis.base_url"),
                                           .public_key = settings_str(h->settings, "travis.public_key") };
    int r = github_new(&github, &o.sources[0], e);
    if (r == 0)
        r = travis_new(&travis, &o.sources[1], e);
    if (r < 0) {
        free_sources(&o);
        return r;
    }
    return ci_open(&o, &h->ci, e);
}
