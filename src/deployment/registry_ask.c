/* Whether a registry has an image by its digest. */
#include "deployment/plan.h"

#include "configuration/registry.h"

#include <stdio.h>

#define MANIFESTS                                                                           \
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, " \
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"

/* "registry/team/app" without the registry, and with "library/" where the hub of images wants it. */
static void repository_of(const struct image_name *image, const char *host, char *ret, size_t size)
{
    size_t n = strlen(host);
    bool named = strncmp(image->name, host, n) == 0 && image->name[n] == '/';
    const char *path = named ? image->name + n + 1 : image->name;
    bool official = str_eq(host, "docker.io") && !strchr(path, '/');
    (void)snprintf(ret, size, "%s%s", official ? "library/" : "", path);
}

int registry_has(struct deployments *d, const struct image_name *image, struct error *e)
{
    int status = 0;
    char host[256], repository[600], path[900];
    struct registry_login login = { 0 };
    image_name_registry(image, host, sizeof host);
    repository_of(image, host, repository, sizeof repository);
    (void)snprintf(path, sizeof path, "/v2/%s/manifests/%s", repository, image->digest);
    int r = d->secrets ? secrets_registry(d->secrets, host, &login, e) : 0;
    const struct registry_call call = { .host = host,
                                        .login = r == 1 ? &login : NULL,
                                        .method = "HEAD",
                                        .path = path,
                                        .repository = repository,
                                        .accept = MANIFESTS };
    if (r >= 0)
        r = registry_ask(&call, &status, e);
    registry_login_done(&login);
    if (r < 0)
        return r;
    if (status == 200 || status == 404)
        return status == 200;
    return error_set(e, ERR_UPSTREAM, "The registry %s answers %d when asked for the image.", host, status);
}
