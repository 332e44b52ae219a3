// Checks whether a store fits into the control group's memory.

import PreforkSystem

extension StoreTable {
    /// Compares a new store with the memory limit of the control group, if there is one.
    ///
    /// - Returns: whether its memory must be reserved: it is large, and the limit allows so much. Without a limit, and
    /// up to `MemoryFile.largeByteCount`, memory counts when it is touched.
    /// - Throws: `.memoryLimit`.
    static func checkMemory(
        _ layout: StoreLayout, limit: @autoclosure () -> MemoryLimit? = .current
    ) throws(StoreError) -> Bool {
        // No service lives in less, and the groups' files take a tenth of a millisecond to read.
        guard layout.byteCount > 1 << 20, let limit = limit() else { return false }
        let isLarge = layout.capacity.bytes > MemoryFile.largeByteCount
        let most = isLarge ? limit.room : limit.bytes
        if UInt64(layout.byteCount) <= most { return isLarge }
        throw StoreError(.memoryLimit(needed: layout.byteCount, limit: Int(clamping: limit.bytes), group: limit.group))
    }
}
