module github.com/karakp2p/karakp2p/bench/go

go 1.24

require github.com/karakp2p/karakp2p/go v0.0.0

replace github.com/karakp2p/karakp2p/go => ../../go
