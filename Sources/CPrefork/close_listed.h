#ifndef CPREFORK_CLOSE_LISTED_H
#define CPREFORK_CLOSE_LISTED_H

/// Closes the descriptors `first`...`last` that /proc names. Returns -1, with errno, if /proc cannot be read.
///
/// Hidden: children that share their parent's memory call it, where the dynamic linker must not look names up.
__attribute__((visibility("hidden"))) int cprefork_close_listed(unsigned first, unsigned last);

#endif
