import COpenCL

/// The kernels of one device, built when first asked for.
struct KernelTable {
  private let builder: ProgramBuilder
  private let emulatesTensorCores: Bool
  private var programs = [cl_program?](repeating: nil, count: KernelProgram.allCases.count)
  private var kernels = [cl_kernel?](repeating: nil, count: KernelID.allCases.count)

  init(_ builder: ProgramBuilder, emulatesTensorCores: Bool) {
    self.builder = builder
    self.emulatesTensorCores = emulatesTensorCores
  }

  @inline(__always)
  mutating func kernel(_ id: KernelID) throws -> Kernel {
    Kernel(object: try kernels[id.rawValue] ?? create(id))
  }

  /// A kernel of a program with options of its own, which the table does not free.
  func make(source: [UInt8], program name: String, kernel: String, options: String) throws -> Kernel
  {
    let program = try builder.build(name: name, source: source, options: options)
    return Kernel(object: try Self.kernel(kernel, of: program))
  }

  func release() {
    for kernel in kernels { if let kernel { clReleaseKernel(kernel) } }
    for program in programs { if let program { clReleaseProgram(program) } }
  }

  private mutating func create(_ id: KernelID) throws -> cl_kernel {
    let owner = id.program
    let program: cl_program
    if let built = programs[owner.rawValue] {
      program = built
    } else {
      program = try builder.build(name: owner.name, source: owner.source, options: options(owner))
      programs[owner.rawValue] = program
    }
    let object = try Self.kernel(id.name, of: program)
    kernels[id.rawValue] = object
    return object
  }

  private func options(_ program: KernelProgram) -> String {
    program.usesTensorCores && emulatesTensorCores ? "-DAPUS_EMULATE_MMA=1" : ""
  }

  private static func kernel(_ name: String, of program: cl_program) throws -> cl_kernel {
    var status: cl_int = 0
    guard let object = clCreateKernel(program, name, &status), status == CL_SUCCESS else {
      throw failure(status, "clCreateKernel(\(name))")
    }
    return object
  }
}
