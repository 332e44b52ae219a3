// What facet calls services: the compiler names what they are called here. None of these can be used.

@available(*, unavailable, renamed: "AsyncService")
public typealias AsyncioServiceMixin = AsyncService

@available(*, unavailable, renamed: "BlockingService")
public typealias BlockingServiceMixin = BlockingService
