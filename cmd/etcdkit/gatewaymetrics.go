package main

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"etcdkit/discovery"
	"etcdkit/discovery/httpdisc"
)

// metrics is what a gateway counts. The service is empty where there was no route.
type metrics struct {
	crowds crowds

	inFlight  prometheus.Gauge
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	retries   *prometheus.CounterVec
	exhausted *prometheus.CounterVec
	refused   prometheus.Counter
}

const metricPrefix = "etcdkit_gateway_"

func newMetrics() *metrics {
	counter := func(name, help string, names ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + name, Help: help}, names)
	}
	return &metrics{
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: metricPrefix + "in_flight", Help: "Requests that are being served."}),
		requests: counter("requests_total", "Requests by the status that clients got; 499 if they went away before.", "service", "code"),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metricPrefix + "request_duration_seconds", Help: "From the request's header to the end of the response; without upgraded connections.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"service"}),
		retries:   counter("retries_total", "Requests that were sent again, to another instance.", "service"),
		exhausted: counter("retries_exhausted_total", "Requests that were not sent again since the budget for that was spent.", "service"),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: metricPrefix + "routes_refused_total", Help: "Edits of the live routes that were refused.",
		}),
	}
}

// handler shows them, and how the services stand at the moment.
func (m *metrics) handler(g *httpdisc.Gateway) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.inFlight, m.requests, m.durations, m.retries, m.exhausted, m.refused, &gauges{g, &m.crowds},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// count is told of each request that has ended.
func (m *metrics) count(x *httpdisc.Exchange) {
	service := serviceOf(x)
	m.requests.WithLabelValues(service, strconv.Itoa(x.Status)).Inc()
	if x.Status != http.StatusSwitchingProtocols { // which ends when its two ends like
		m.durations.WithLabelValues(service).Observe(x.Took.Seconds())
	}
}

func serviceOf(x *httpdisc.Exchange) string {
	if x.Route == nil {
		return ""
	}
	return x.Route.Service
}

func (m *metrics) retried(service string, _ *discovery.Instance, _ error) {
	m.retries.WithLabelValues(service).Inc()
}

func (m *metrics) spent(service string) { m.exhausted.WithLabelValues(service).Inc() }

// gauges tell how the services stand.
type gauges struct {
	gateway *httpdisc.Gateway
	crowds  *crowds
}

var (
	routesDesc    = prometheus.NewDesc(metricPrefix+"routes", "Routes in use.", nil, nil)
	instancesDesc = prometheus.NewDesc(metricPrefix+"instances", "Instances by what they say of themselves.", []string{"service", "state"}, nil)
	downDesc      = prometheus.NewDesc(metricPrefix+"down", "Serving instances that fail the gateway's health check.", []string{"service"}, nil)
	ejectedDesc   = prometheus.NewDesc(metricPrefix+"ejected", "Serving instances that get no requests since they only failed, at the last request.", []string{"service"}, nil)
	staleDesc     = prometheus.NewDesc(metricPrefix+"stale_seconds", "For how long the list of instances is not known to be true; 0 while it is.", []string{"service"}, nil)
)

// Describe names the metrics.
func (s *gauges) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(s, to) }

// Collect asks nobody.
func (s *gauges) Collect(to chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	gauge(routesDesc, float64(len(s.gateway.Routes().Routes)))
	for _, st := range s.gateway.Services() {
		gauge(instancesDesc, float64(st.Instances), st.Service, stateServing)
		gauge(instancesDesc, float64(st.Draining), st.Service, stateDraining)
		gauge(instancesDesc, float64(st.Unhealthy), st.Service, stateUnhealthy)
		gauge(downDesc, float64(len(st.Down)), st.Service)
		gauge(ejectedDesc, float64(s.crowds.ejected(st.Service)), st.Service)
		gauge(staleDesc, st.Stale.Seconds(), st.Service)
	}
}
