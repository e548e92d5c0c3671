/* Named fault points. A build with KL_FAULTS fails the n-th passage of a point, in tests and by the environment:
 * KALAMDB_FAULT="store.commit:3" fails the third commit; "store.commit:3+" that and all later ones. In other builds
 * a point is the constant false. */
#ifndef KL_BASE_FAULT_H
#define KL_BASE_FAULT_H

#include "base/assert.h"

#ifdef KL_FAULTS
bool kl_fault(const char *name);
void kl_fault_set(const char *spec); /* NULL clears */
#else
#define kl_fault(name) (false)
static inline void kl_fault_set(const char *spec) { (void)spec; }
#endif

#endif
