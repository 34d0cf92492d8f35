/* What the files of the forms share: where a field stands, its texts and its refusals. Internal to Compose's reading. */
#ifndef HB_COMPOSE_FORMS_H
#define HB_COMPOSE_FORMS_H

#include "base/error.h"

#include <jansson.h>

struct place { /* of the field at hand */
    const char *service, *field, *directory;
    struct error *e;
};
int form_wrong(const struct place *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Any scalar as text; NULL: a list, a map or null. Caller frees. */
char *form_text(const json_t *v);
int form_flag(const struct place *p, json_t *v, json_t **ret);
/* Each makes the canonical form of a field: 0, or refused by form_wrong. */
int form_ports(const struct place *p, json_t *v, json_t **ret);
int form_volumes(const struct place *p, json_t *v, json_t **ret);
int form_files(const struct place *p, json_t *v, json_t **ret);
int form_devices(const struct place *p, json_t *v, json_t **ret);

#endif
