/*
 * Feature levels in the controller (KIP-584, KIP-778): who supports what. UpdateFeatures itself is
 * in controller_api.h. Pure.
 */
#ifndef KRAFTD_METADATA_FEATURES_H
#define KRAFTD_METADATA_FEATURES_H

#include "metadata/controller/controller.h"

/* Whether a node with these ranges can live with every finalized level. */
bool features_node_fits(const struct controller *controller, const struct feature_range *ranges,
                        int32_t count);

#endif
