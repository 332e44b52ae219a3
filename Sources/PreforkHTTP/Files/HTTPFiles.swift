// A directory whose files are served.

public import PreforkSystem

/// Serves the files of a directory: whole, in ranges, and only if they have changed.
///
/// ```swift
/// let files = try HTTPFiles(root: "/srv/www")
/// try await listener.serveHTTP { request in try files.response(to: request) }
/// ```
///
/// The directory is opened once, and every file below it by that descriptor (openat2(2) with RESOLVE_BENEATH): no name
/// that a client sends leads out of it, and neither does a symbolic link. A directory that is put in its place later is
/// not seen: reload the workers.
///
/// Make it in the worker's body. A descriptor from before the fork would be a way out of `PREFORK_CHROOT`.
public struct HTTPFiles: Sendable {
    let root: RootDirectory
    /// What is served, and how.
    public let options: Options
    /// `Options.mediaTypes`, by ends in lower case.
    let mediaTypes: [String: String]
    let heads = FileHeads()

    /// - Parameters:
    ///   - path: of the directory. Symbolic links in it are followed.
    ///   - options: the defaults serve what everyone may see.
    /// - Throws: what prevents the directory from being opened. EINVAL for a `cacheControl` or a media type that cannot
    ///   be a field's value, and for a path that is empty or has a NUL byte.
    public init(root path: String, options: Options = Options()) throws(SystemError) {
        try self.init(root: path, options: options, goesByParts: false)
    }

    /// - Parameter goesByParts: as where there is no openat2(2).
    init(root path: String, options: Options, goesByParts: Bool) throws(SystemError) {
        for value in options.mediaTypes.values + [options.cacheControl].compactMap({ $0 }) {
            var fields = HTTPFields()
            do throws(HTTPError) { try fields.append("Content-Type", value) } catch {
                throw SystemError("HTTPFiles", .invalidArgument, on: "the field value \(value)")
            }
        }
        root = try RootDirectory(
            path, links: options.followsSymbolicLinks ? .insideRoot : .none, goesByParts: goesByParts)
        mediaTypes = Dictionary(options.mediaTypes.map { ($0.lowercased(), $1) }) { first, _ in first }
        self.options = options
        // sendfile(2) has no MSG_NOSIGNAL.
        ignoreBrokenPipes()
    }
}

extension HTTPFiles {
    /// Which names that begin with a dot are served.
    public struct HiddenFiles: Hashable, Sendable {
        private enum Rule {
            case refused, wellKnown, served
        }

        private let rule: Rule

        /// None: such files hold what is not meant for visitors, as `.git` and `.env` do.
        public static let refused = HiddenFiles(rule: .refused)
        /// Only what is below the first directory `.well-known` (RFC 8615), which certificates are fetched by.
        public static let wellKnown = HiddenFiles(rule: .wellKnown)
        /// All of them.
        public static let served = HiddenFiles(rule: .served)

        /// - Parameter isFirst: the name is the first one of the path.
        func allows(_ name: [UInt8], isFirst: Bool) -> Bool {
            switch rule {
            case .refused: false
            case .wellKnown: isFirst && name == Array(".well-known".utf8)
            case .served: true
            }
        }
    }

    /// What is served, and how.
    public struct Options: Sendable {
        /// The file that stands for its directory, `index.html` by default. Without one (nil or empty), and where a
        /// directory does not have it, the answer is 404.
        public var index: String?
        /// Refused by default.
        public var hiddenFiles: HiddenFiles
        /// Whether symbolic links below the root are followed, as long as they stay below it. Where the kernel has no
        /// openat2(2), none is followed.
        public var followsSymbolicLinks: Bool
        /// Whether `name.br` or `name.gz` is sent for `name` to clients that take it. They must hold the same content,
        /// which is not checked.
        public var precompressed: Bool
        /// The value of `Cache-Control`. Nil sends none, and clients guess.
        public var cacheControl: String?
        /// Content types by the ends of names, without the dot, before those of the built-in table.
        public var mediaTypes: [String: String]
        /// How many ranges one request may ask for. More of them get the whole file. With zero or less, ranges are not
        /// answered at all.
        public var maxRanges: Int

        /// - Parameters:
        ///   - index: `index.html` by default.
        ///   - hiddenFiles: `.refused` by default.
        ///   - followsSymbolicLinks: true by default.
        ///   - precompressed: false by default.
        ///   - cacheControl: nil by default.
        ///   - mediaTypes: none by default.
        ///   - maxRanges: 16 by default.
        public init(
            index: String? = "index.html", hiddenFiles: HiddenFiles = .refused, followsSymbolicLinks: Bool = true,
            precompressed: Bool = false, cacheControl: String? = nil, mediaTypes: [String: String] = [:],
            maxRanges: Int = 16
        ) {
            self.index = index
            self.hiddenFiles = hiddenFiles
            self.followsSymbolicLinks = followsSymbolicLinks
            self.precompressed = precompressed
            self.cacheControl = cacheControl
            self.mediaTypes = mediaTypes
            self.maxRanges = maxRanges
        }
    }
}
