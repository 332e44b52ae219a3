// Content types by the ends of names.

enum MediaTypes {
    /// What a file is, by what follows the last dot of its name, in any case. Text is UTF-8.
    ///
    /// - Parameter own: types that come first, by ends in lower case.
    static func type(of name: [UInt8], own: [String: String]) -> String {
        guard let dot = name.lastIndex(of: UInt8(ascii: ".")), dot > 0 else { return unknown }
        let end = String(decoding: name[(dot + 1)...], as: UTF8.self).lowercased()
        return own[end] ?? table[end] ?? unknown
    }

    /// RFC 9110, section 8.3: a browser that is told so does not guess.
    static let unknown = "application/octet-stream"

    private static let table: [String: String] = [
        "aac": "audio/aac", "avif": "image/avif", "avi": "video/x-msvideo", "bin": "application/octet-stream",
        "bmp": "image/bmp", "bz2": "application/x-bzip2", "css": "text/css; charset=utf-8",
        "csv": "text/csv; charset=utf-8", "epub": "application/epub+zip", "flac": "audio/flac", "gif": "image/gif",
        "gz": "application/gzip", "htm": "text/html; charset=utf-8", "html": "text/html; charset=utf-8",
        "ico": "image/vnd.microsoft.icon", "ics": "text/calendar; charset=utf-8", "jar": "application/java-archive",
        "jpeg": "image/jpeg", "jpg": "image/jpeg", "js": "text/javascript; charset=utf-8",
        "json": "application/json", "jsonld": "application/ld+json", "jxl": "image/jxl", "m4a": "audio/mp4",
        "m4v": "video/mp4", "map": "application/json", "md": "text/markdown; charset=utf-8",
        "mjs": "text/javascript; charset=utf-8", "mov": "video/quicktime", "mp3": "audio/mpeg", "mp4": "video/mp4",
        "mpeg": "video/mpeg", "oga": "audio/ogg", "ogg": "audio/ogg", "ogv": "video/ogg", "opus": "audio/ogg",
        "otf": "font/otf", "pdf": "application/pdf", "png": "image/png", "rtf": "application/rtf",
        "svg": "image/svg+xml", "tar": "application/x-tar", "tif": "image/tiff", "tiff": "image/tiff",
        "ttf": "font/ttf", "txt": "text/plain; charset=utf-8", "wasm": "application/wasm", "wav": "audio/wav",
        "weba": "audio/webm", "webm": "video/webm", "webmanifest": "application/manifest+json", "webp": "image/webp",
        "woff": "font/woff", "woff2": "font/woff2", "xhtml": "application/xhtml+xml",
        "xml": "text/xml; charset=utf-8", "xz": "application/x-xz", "yaml": "application/yaml",
        "yml": "application/yaml", "zip": "application/zip", "zst": "application/zstd",
    ]
}
