module github.com/karakp2p/karakp2p/go

go 1.24
