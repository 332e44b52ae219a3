// The module and function of an address in this process's code.

import CPrefork
import Glibc

/// The object that an address lies in, and the function as far as the linker knows it. Any address is allowed.
package struct CodePlace: Equatable, Sendable {
    /// The object's path. If nil, the program itself: the linker knows it by argv[0] only, which lies where titles are
    /// written.
    package let module: String?
    package let base: UInt64
    /// At most 64 bytes.
    package let buildID: [UInt8]
    /// Exported functions only (`-Xlinker --export-dynamic` gives more), mangled.
    package let symbol: String?
    /// From the function's beginning, or from the object's.
    package let offset: UInt64

    /// - Returns: nil for an address that is in no loaded object.
    package init?(of address: UInt64) {
        var found = cprefork_symbol()
        guard cprefork_find_symbol(UInt(address), &found) == 1 else { return nil }
        let path = found.module.map { String(cString: $0) } ?? ""
        module = path.isEmpty ? nil : path
        base = UInt64(found.base)
        buildID = found.build_id.map { Array(UnsafeBufferPointer(start: $0, count: min(found.build_id_length, 64))) } ?? []
        symbol = found.name.map { String(cString: $0) }
        offset = UInt64(found.offset)
    }

    /// The build ID of a file. Empty if it has no build ID or cannot be read.
    package static func buildID(ofFile path: String) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = bytes.withUnsafeMutableBufferPointer { cprefork_build_id_of_file(path, $0.baseAddress!, 64) }
        return Array(bytes.prefix(Int(count)))
    }

    /// A name as in the source. A mangled name of Swift can be as long as a page.
    package static func readable(_ symbol: String) -> String {
        guard let text = cprefork_demangle(symbol) else { return String(symbol.prefix(200)) }
        defer { free(text) }
        return String(String(cString: text).prefix(200))
    }
}
