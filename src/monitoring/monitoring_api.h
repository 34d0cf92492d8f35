/* The room's operations of the contract: listMetrics, queryMetrics, listSeries.
 * The room pointer of the table is the `struct metrics`. */
#ifndef HB_MONITORING_API_H
#define HB_MONITORING_API_H

#include "http/api.h"
#include "monitoring/metrics.h"

#define MONITORING_OPERATIONS 3
extern const struct api_operation monitoring_operations[MONITORING_OPERATIONS];

#endif
