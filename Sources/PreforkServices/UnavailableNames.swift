// Facet's names for services. The compiler reports their names here. No declaration here can be used.

@available(*, unavailable, renamed: "AsyncService")
public typealias AsyncioServiceMixin = AsyncService

@available(*, unavailable, renamed: "BlockingService")
public typealias BlockingServiceMixin = BlockingService
