// From a request to the response with a file.

public import PreforkSystem

/// What of a request decides which file is sent, and how much of it.
struct FileRequest {
    var method: HTTPMethod
    /// Raw, without the query.
    var path: String
    var query: String?
    /// Whether a field asks for a part, or for nothing unless something is so.
    var isConditional = true
    /// All values of the fields with a name, without regard to case, in their order.
    var values: (_ name: String) -> [String]
}

extension HTTPFiles {
    /// Files up to this size are read and sent with the head by one call.
    private static let smallSize = 16 * 1024

    /// Answers a request with a file.
    ///
    /// - 200, 206 with one range or several, 304, 412 and 416 by RFC 9110, section 13.2.2. HEAD as GET, without a body.
    /// - 301 to the address with a slash for a directory without one.
    /// - 400 for a path that is not percent-encoded correctly, 403 for a file that this process may not read, 405 for
    ///   other methods than GET and HEAD.
    /// - 404 for everything else, also for what is no regular file, and for a path with an empty name, `.`, `..`, or an
    ///   encoded slash: they are refused and not resolved.
    ///
    /// A file that becomes shorter while it is sent ends the connection, which the client can see.
    ///
    /// - Parameters:
    ///   - request: its body is not read.
    ///   - path: the part of the path that is below the root, percent-encoded, for files below a prefix. By default the
    ///     request's path.
    /// - Throws: what else prevents a file from being opened or read, for example EMFILE and EIO. The server answers such
    ///   an error with 500.
    public func response(to request: HTTPRequest, path: String? = nil) throws(SystemError) -> HTTPResponse {
        let fields = request.fields
        return try response(
            to: FileRequest(
                method: request.method, path: path ?? request.path, query: request.query,
                isConditional: fields.areConditional, values: { fields.values(of: $0) }))
    }

    func response(to request: FileRequest) throws(SystemError) -> HTTPResponse {
        guard request.method == .get || request.method == .head else {
            return Self.plain(.methodNotAllowed, ["Allow": "GET, HEAD"])
        }
        let path: RequestedPath
        do throws(RequestedPath.Problem) {
            path = try RequestedPath(request.path, hidden: options.hiddenFiles)
        } catch {
            return Self.plain(error == .malformed ? .badRequest : .notFound)
        }
        do throws(SystemError) {
            return try response(to: request, path)
        } catch {
            switch error.errno {
            case .noEntry, .notDirectory, .tooManyLinks, .crossDevice, .nameTooLong, .invalidArgument, .noDeviceOrAddress:
                return Self.plain(.notFound)
            case .permissionDenied: return Self.plain(.forbidden)
            default: throw error
            }
        }
    }

    private func response(to request: FileRequest, _ path: RequestedPath) throws(SystemError) -> HTTPResponse {
        let file = try root.open(path.names)
        switch (file.kind, path.endsWithSlash) {
        case (.regular, false): return try response(to: request, path.names, file)
        case (.directory, false): return Self.redirect(path, query: request.query)
        case (.directory, true):
            guard let index = options.index, !index.isEmpty else { return Self.plain(.notFound) }
            let names = path.names + [Array(index.utf8)]
            let file = try root.open(names)
            return file.kind == .regular ? try response(to: request, names, file) : Self.plain(.notFound)
        case (.regular, true), (.other, _): return Self.plain(.notFound)
        }
    }

    private func response(
        to request: FileRequest, _ names: [[UInt8]], _ original: OpenedFile
    ) throws(SystemError) -> HTTPResponse {
        let variant = precompressed(names, request)
        let file = variant?.file ?? original
        let name = names.last ?? []
        let now = WallClock.milliseconds * 1_000_000
        var version: FileHeads.Version?
        if !request.isConditional, EntityTag.isStrong(modified: file.modified, now: now) {
            let present = FileHeads.Version(file, name: name, coding: variant?.coding)
            if let fields = heads.fields(of: present) { return try Self.whole(file, fields, for: request.method) }
            version = present
        }
        let mediaType = MediaTypes.type(of: name, own: mediaTypes)
        let validators = FileValidators(
            tag: EntityTag(inode: file.inode, size: file.size, modified: file.modified, now: now),
            // Never later than the response's Date (RFC 9110, section 8.8.2.1).
            modified: Int(min(file.modified, now) / 1_000_000_000), now: Int(now / 1_000_000_000))
        let conditions = FileConditions(request.values)
        var fields = HTTPFields()
        if options.precompressed { fields.add("Vary", "Accept-Encoding") }
        let outcome = conditions.outcome(for: validators)
        if outcome == .failed { return Self.plain(.preconditionFailed, fields) }
        fields.add("ETag", validators.tag.text)
        let isRanged = request.method == .get && conditions.rangeCounts(for: validators)
        let ranges = ByteRanges(isRanged ? request.values("Range") : [], size: file.size, limit: options.maxRanges)
        // No cache keeps a 412, or a 416: neither is what the file is.
        if let cacheControl = options.cacheControl, outcome == .notModified || ranges != .unsatisfiable {
            fields.add("Cache-Control", cacheControl)
        }
        if outcome == .notModified { return HTTPResponse(status: .notModified, fields: fields) }
        fields.add("Last-Modified", HTTPDate.format(secondsSince1970: validators.modified))
        fields.add("Accept-Ranges", options.maxRanges > 0 ? "bytes" : "none")
        if let variant { fields.add("Content-Encoding", variant.coding) }
        fields.add("X-Content-Type-Options", "nosniff")
        guard ranges == .whole else { return try Self.response(to: request, file, ranges, mediaType, fields) }
        fields.add("Content-Type", mediaType)
        if let version { heads.keep(fields, of: version) }
        return try Self.whole(file, fields, for: request.method)
    }

    private static func whole(
        _ file: OpenedFile, _ fields: HTTPFields, for method: HTTPMethod
    ) throws(SystemError) -> HTTPResponse {
        HTTPResponse(status: .ok, fields: fields, body: try body([.range(0..<file.size)], of: file, for: method))
    }

    /// A part of a file, or several.
    private static func response(
        to request: FileRequest, _ file: OpenedFile, _ ranges: ByteRanges, _ mediaType: String, _ fields: HTTPFields
    ) throws(SystemError) -> HTTPResponse {
        var fields = fields
        let status: HTTPStatus
        let parts: [FilePart]
        switch ranges {
        case .whole: return try whole(file, fields, for: request.method)
        case .parts(let ranges) where ranges.count == 1:
            fields.add("Content-Type", mediaType)
            fields.add("Content-Range", "bytes \(ranges[0].lowerBound)-\(ranges[0].upperBound - 1)/\(file.size)")
            (status, parts) = (.partialContent, [.range(ranges[0])])
        case .parts(let ranges):
            let boundary = "prefork-" + String(UInt64.random(in: .min ... .max), radix: 36)
                + String(UInt64.random(in: .min ... .max), radix: 36)
            fields.add("Content-Type", "multipart/byteranges; boundary=\(boundary)")
            parts = FileSending.multipart(ranges, size: file.size, mediaType: mediaType, boundary: boundary)
            status = .partialContent
        case .unsatisfiable:
            fields.add("Content-Range", "bytes */\(file.size)")
            return plain(.rangeNotSatisfiable, fields)
        }
        return HTTPResponse(status: status, fields: fields, body: try body(parts, of: file, for: request.method))
    }

    private static func body(
        _ parts: [FilePart], of file: OpenedFile, for method: HTTPMethod
    ) throws(SystemError) -> HTTPResponse.Body {
        let count = parts.reduce(0) { $0 + $1.count }
        if count == 0 { return .empty }
        if method == .get, parts.count == 1, case .range(let range) = parts[0], count <= smallSize {
            let bytes = try file.read(range)
            // If it has become shorter, the length below does not hold, and the connection ends.
            if bytes.count == count { return .bytes(bytes) }
        }
        return .transfer(count: count) { transfer in
            var sending = FileSending(parts, of: file)
            try await transfer.send(count) { socket, rest throws(SystemError) in
                try sending.send(atMost: rest, to: socket)
            }
        }
    }

    /// The first neighbour that the client takes and that is there. The preferred coding comes first.
    private func precompressed(_ names: [[UInt8]], _ request: FileRequest) -> (file: OpenedFile, coding: String)? {
        guard options.precompressed, let name = names.last else { return nil }
        let accepted = AcceptedEncodings(request.values("Accept-Encoding"))
        for (coding, end) in [("br", ".br"), ("gzip", ".gz")] where accepted.allows(coding) {
            guard let file = try? root.open(names.dropLast() + [name + Array(end.utf8)]), file.kind == .regular else {
                continue
            }
            return (file, coding)
        }
        return nil
    }

    private static func redirect(_ path: RequestedPath, query: String?) -> HTTPResponse {
        var fields = HTTPFields()
        fields.add("Location", path.slashReference + (query.map { "?" + $0 } ?? ""))
        return plain(.movedPermanently, fields)
    }

    private static func plain(_ status: HTTPStatus, _ fields: HTTPFields = HTTPFields()) -> HTTPResponse {
        var response = HTTPResponse.text("\(status)\n", status: status)
        for field in fields { response.fields.add(field.name, field.value) }
        return response
    }
}

extension HTTPFields {
    /// Whether one of them is Range or begins with `If-`.
    fileprivate var areConditional: Bool {
        bytes.withUnsafeBytes { bytes in
            entries.contains { entry in
                let name = bytes.part(entry.name)
                return name.count > 3 && name.part(0..<3).spellInAnyCase("if-") || name.spellInAnyCase("range")
            }
        }
    }

    /// Adds a field whose value was made or checked here. A query that cannot be a field's value is the client's, and then
    /// the field is left out.
    fileprivate mutating func add(_ name: String, _ value: String) {
        try? append(name, value)
    }
}
