@_exported import ApusData
@_exported import ApusDevice
@_exported import ApusMetrics
@_exported import ApusNN
@_exported import ApusOptimizers
@_exported import ApusTensor
@_exported import ApusTraining
