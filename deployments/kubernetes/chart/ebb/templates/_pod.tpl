{{- define "ebb.pod" -}}
metadata:
  labels:
    {{- include "ebb.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # Another configuration or another secret made here is another pod.
    checksum/config: {{ include "ebb.config" . | sha256sum }}
    checksum/secrets: {{ toYaml .Values.secrets | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "ebb.serviceAccount" . }}
  # ebb never talks to Kubernetes. EKS brings the token of an IAM role by itself.
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: ebb
      image: {{ with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end }}{{ end }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [run]
      env:
        # For `kubectl exec … -- /usr/bin/ebb events --follow`.
        - name: EBB_CONFIG
          value: /etc/ebb/ebb.yaml
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - {name: http, containerPort: 8480, protocol: TCP}
      startupProbe:
        httpGet: {path: /healthz, port: http, scheme: {{ include "ebb.scheme" . }}}
        periodSeconds: 2
        failureThreshold: 30
      livenessProbe:
        httpGet: {path: /healthz, port: http, scheme: {{ include "ebb.scheme" . }}}
        periodSeconds: 15
        timeoutSeconds: 5
        failureThreshold: 4
      readinessProbe:
        httpGet: {path: /readyz, port: http, scheme: {{ include "ebb.scheme" . }}}
        periodSeconds: 10
        timeoutSeconds: 5
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/ebb, readOnly: true}
        - {name: secrets, mountPath: /run/secrets/ebb, readOnly: true}
        - {name: state, mountPath: /var/lib/ebb}
  volumes:
    - name: config
      configMap:
        name: {{ include "ebb.fullname" . }}
    - name: secrets
      secret:
        secretName: {{ include "ebb.secret" . }}
        defaultMode: 0440
    {{- if .Values.nats.url }}
    # Nothing that must outlive the pod: all of that is on the NATS server.
    - name: state
      emptyDir: {sizeLimit: 64Mi}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if .Values.nats.url }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "ebb.selector" . | nindent 10 }}
  {{- end }}
{{- end -}}
