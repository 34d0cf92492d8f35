#include "gateway/gateway.h"
#define W __attribute__((weak))
W bool gateway_discovers(struct gateway *g){(void)g;return false;}
W int gateway_register(struct gateway *g, const struct discovery_instance *i, struct error *e){(void)g;(void)i;(void)e;return 0;}
W int gateway_deregister(struct gateway *g, const char *i, struct error *e){(void)g;(void)i;(void)e;return 0;}
