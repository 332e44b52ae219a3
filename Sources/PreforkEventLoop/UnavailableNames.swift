// What tornado's streams call these reads. The compiler reports their names here. No declaration here can be called.

extension ByteReader {
    @available(*, unavailable, renamed: "read(exactly:)")
    public func readBytes(_ count: Int) async throws -> [UInt8] { fatalError() }

    @available(*, unavailable, message: "read(until:limit:): every read has a limit")
    public func readUntil(_ delimiter: String) async throws -> [UInt8] { fatalError() }

    @available(*, unavailable, renamed: "readToEnd()")
    public func readUntilClose() async throws -> [UInt8] { fatalError() }
}
