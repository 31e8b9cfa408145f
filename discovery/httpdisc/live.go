package httpdisc

import (
	"context"
	"path/filepath"
	"reflect"

	"etcdkit/config"
)

// routesFile has the live routes in the folder of WithLastGood.
const routesFile = "routes.json"

func (o *options) liveOptions() []config.Option {
	if o.lastGood == nil {
		return nil
	}
	return []config.Option{config.WithLastGood(filepath.Join(*o.lastGood, routesFile))}
}

// watchRoutes opens the value that the routes follow.
func (g *Gateway) watchRoutes(ctx context.Context, routes Routes) (*config.Value[Routes], error) {
	return config.Watch(ctx, g.services.session, *g.options.live, routes, g.options.liveOptions()...)
}

// follow puts each new version of the routes into use, until the gateway is closed. A value that can be followed no more (its right was taken away,
// its cluster was restored) leaves the routes as they are, and is opened again when that is possible.
func (g *Gateway) follow(v *config.Value[Routes], routes Routes) {
	defer func() { _ = v.Close() }() // what could not be written to its file is in the log
	for g.ctx.Err() == nil {
		for ch, err := range v.Changes(g.ctx) {
			if err != nil {
				g.changed(&RoutesChange{Err: err})
				break
			}
			g.change(ch)
		}
		for g.ctx.Err() == nil {
			pause(g.ctx, jitter(reopenEvery))
			next, err := g.reopenRoutes(routes)
			if err == nil {
				_ = v.Close()
				v = next
				break
			}
			g.changed(&RoutesChange{Err: err})
		}
	}
}

func (g *Gateway) reopenRoutes(routes Routes) (*config.Value[Routes], error) {
	ctx, cancel := context.WithTimeout(g.ctx, openTimeout)
	defer cancel()
	return g.watchRoutes(ctx, routes)
}

// change does what a step of the value asks for. The first step is what is in use already, as a rule.
func (g *Gateway) change(ch *config.Change[Routes]) {
	same := reflect.DeepEqual(ch.New, g.Routes())
	if !same {
		g.apply(ch.New)
	}
	if !same || ch.Refused != nil {
		g.changed(&RoutesChange{Revision: ch.Revision, Refused: ch.Refused})
	}
}

func (g *Gateway) changed(c *RoutesChange) {
	if f := g.options.trace.RoutesChanged; f != nil && g.ctx.Err() == nil {
		c.Routes = g.Routes()
		f(c)
	}
}
