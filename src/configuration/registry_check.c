/* Whether a registry takes a login. */
#include "configuration/internal.h"
#include "configuration/registry.h"

int registry_check(const struct registry_login *login, struct error *e)
{
    int status = 0;
    const struct registry_call call = { .host = login->host, .login = login, .method = "GET", .path = "/v2/" };
    int r = registry_ask(&call, &status, e);
    if (r < 0)
        return r;
    if (status == 401 || status == 403) {
        (void)error_set(e, ERR_VALIDATION, "The registry %s does not take this user name and password.", login->host);
        error_detail(e, "/password", "is refused by the registry");
        return -ERR_VALIDATION;
    }
    return status >= 200 && status < 300
               ? 0
               : error_set(e, ERR_UPSTREAM, "%s answers %d to /v2/, as no registry does.", login->host, status);
}
