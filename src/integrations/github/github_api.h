/* GitHub's REST API, the little that CI needs: runs since a time, and deployments with their statuses.
 * Source: github/rest-api-description. Pure of state; thread-safe; calls block their thread. */
#ifndef HB_GITHUB_API_H
#define HB_GITHUB_API_H

#include "integrations/github/github.h"

struct github_api {
    const char *base_url;
    const struct secret *token; /* NULL: nothing is asked or told */
};
/* As ci_source_ops.missed and ci_source_ops.tell. */
int github_missed(const struct github_api *g, const char *repository, int64_t since_ms, ci_emit emit, void *ctx,
                  struct error *e);
int github_tell(const struct github_api *g, const struct ci_status *s, char remote[24], struct error *e);

#endif
